// Every limit of serving with its default; docs/settings.md says which flag sets it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace haq::server::serving {

struct Settings {
  int threads = 0;             // that run networks and decode images; 0 is one per core
  int sessions_per_model = 0;  // batches of one model that run at a time; 0: as many as threads
  // That share one inference: 1 gives the best throughput, one per core the least latency. A batch
  // runs on this many of `threads`.
  int session_threads = 1;
  bool skip_self_test = false;  // of sessions: the golden inputs of their artifact
  int64_t max_batch = 64;       // images (samples) of one request
  // Samples that a session runs at a time; a larger batch runs in pieces. The answers do not depend
  // on it, memory does.
  int64_t session_batch = 8;
  // Samples of several requests that run together; 1: every request runs alone.
  int64_t dynamic_batch = 8;
  int64_t max_queue_delay_us = 0;            // how long a request waits for others to join it
  int priority_levels = 3;                   // 1 is the highest
  int default_priority = 2;                  // of requests that ask for none
  size_t max_arena_bytes = size_t{1} << 30;  // of a session; a model that needs more is not loaded
  size_t max_queue = 256;                    // requests of one model that wait for a thread
  size_t max_queue_bytes = size_t{512} << 20;
  // One sample in so many is looked at for clipped activations, and one a second at least; 0: none.
  int64_t clipping_sample = 64;
  int64_t clipping_tensors = 64;  // of a model, with metrics of their own
  double clipping_half_life_s = 20;
  uint64_t max_image_bytes = 16 << 20;  // one encoded image
  uint64_t max_image_pixels = 50'000'000;
};

}  // namespace haq::server::serving
