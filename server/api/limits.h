// Every limit of the API with its default.
#pragma once

#include <cstdint>

namespace haq::server::api {

struct Limits {
  int64_t max_model_bytes = int64_t{2} << 30;
  // Shards are packed to 64 MiB; a tar made by somebody else may round up a little.
  int64_t max_shard_bytes = int64_t{65} << 20;
  int64_t max_artifact_bytes = int64_t{2} << 30;
  int64_t max_models = 10'000;
  int64_t max_datasets = 10'000;
  int64_t max_shards_per_dataset = 10'000;
  int64_t max_class_names = 100'000;
  int64_t max_class_name_bytes = 256;
  int64_t max_preprocess_bytes = 64 << 10;
  int64_t max_input_elements = int64_t{1} << 26;  // of one sample
  int64_t max_request_id_bytes = 128;
  int64_t default_page_size = 100;
  int64_t max_page_size = 1000;  // larger requests get this many
  int64_t max_unfinished_uploads = 64;
  int64_t max_upload_message_bytes = 1 << 20;
};

}  // namespace haq::server::api
