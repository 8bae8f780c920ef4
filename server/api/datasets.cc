#include "server/api/datasets.h"

#include <algorithm>
#include <set>

#include "core/base/sha256.h"
#include "core/data/dataset.h"
#include "server/api/checks.h"
#include "server/api/convert.h"
#include "server/api/names.h"
#include "server/api/pages.h"
#include "server/api/requests.h"

namespace haq::server::api {
namespace {

constexpr char kList[] = "datasets";

std::string ShardField(int index) { return fmt::format("dataset.shards[{}].sha256", index); }

Status CheckRequest(const haq::v1::CreateDatasetRequest& request, const Limits& limits) {
  const haq::v1::Dataset& dataset = request.dataset();
  HAQ_RETURN_IF_ERROR(CheckResourceId("dataset_id", request.dataset_id()));
  if (dataset.shards().empty()) {
    return InvalidField("dataset.shards", "the dataset is empty: it has no shards");
  }
  if (dataset.shards_size() > limits.max_shards_per_dataset) {
    return InvalidField("dataset.shards", "must be at most {}, found {}",
                        limits.max_shards_per_dataset, dataset.shards_size());
  }
  std::set<std::string> seen;
  for (int i = 0; i < dataset.shards_size(); ++i) {
    const std::string& sha256 = dataset.shards(i).sha256();
    if (!IsSha256Hex(sha256)) {
      return InvalidField(ShardField(i), "must be 64 lower-case hexadecimal digits, found '{}'",
                          sha256.substr(0, 80));
    }
    if (!seen.insert(sha256).second) {
      return InvalidField(ShardField(i), "{} is there twice", sha256);
    }
  }
  return CheckClassNames("dataset.class_names", dataset.class_names(), limits);
}

Result<int64_t> FindShard(const Context& context, int index, const std::string& sha256) {
  const auto size = context.blobs.Find(sha256);
  if (!size) {
    Status status = FailedPrecondition("{}: no blob {} was uploaded", ShardField(index), sha256);
    status.AddField(ShardField(index), "upload it first");
    return status;
  }
  if (*size > context.limits.max_shard_bytes) {
    Status status = ResourceExhausted("dataset.shards[{}].size_bytes: {} is over the limit of {}",
                                      index, *size, context.limits.max_shard_bytes);
    status.AddField(fmt::format("dataset.shards[{}].size_bytes", index),
                    fmt::format("at most {}", context.limits.max_shard_bytes));
    return status;
  }
  return *size;
}

// The reader names the file, which is the server's own business.
std::string WithoutPath(std::string message, const std::string& path) {
  for (size_t at = message.find(path); at != std::string::npos; at = message.find(path)) {
    message.replace(at, path.size(), "the shard");
  }
  return message;
}

Status ReadShard(const Context& context, int index, const std::string& sha256,
                 store::DatasetRecord& record) {
  if (context.queue.closed()) return Unavailable("the server is shutting down");
  HAQ_ASSIGN_OR_RETURN(const int64_t size_bytes, FindShard(context, index, sha256));
  data::ShardLimits limits;
  limits.max_shard_bytes = static_cast<uint64_t>(context.limits.max_shard_bytes);
  const std::filesystem::path path = context.blobs.PathOf(sha256);
  const auto summary = data::CheckShard(path, limits);
  if (!summary.ok()) {
    const std::string message = WithoutPath(summary.status().message(), path.string());
    const StatusCode code = summary.status().code();
    // What was uploaded is wrong, however the reader found out.
    if (code == StatusCode::kInvalidArgument || code == StatusCode::kDataLoss) {
      return InvalidField(ShardField(index), "{}", message);
    }
    return Status(code, fmt::format("{}: {}", ShardField(index), message));
  }
  record.shards.push_back({sha256, size_bytes, summary->images});
  record.images += summary->images;
  record.size_bytes += size_bytes;
  record.labelled = record.labelled && summary->labelled;
  record.max_label = std::max(record.max_label, summary->max_label);
  return {};
}

Result<store::DatasetRecord> ReadShards(const haq::v1::CreateDatasetRequest& request,
                                        const Context& context) {
  const haq::v1::Dataset& dataset = request.dataset();
  store::DatasetRecord record;
  record.id = request.dataset_id();
  record.labelled = true;
  record.class_names.assign(dataset.class_names().begin(), dataset.class_names().end());
  record.create_time_us = context.clock.NowUs();
  for (int i = 0; i < dataset.shards_size(); ++i) {
    HAQ_RETURN_IF_ERROR(ReadShard(context, i, dataset.shards(i).sha256(), record));
  }
  if (record.images == 0) {
    return InvalidField("dataset.shards", "the dataset is empty: its shards hold no images");
  }
  return record;
}

Status CheckNameIsFree(store::Transaction& transaction, const std::string& id,
                       const Limits& limits) {
  if (transaction.FindDataset(id)) return AlreadyExists("{} exists already", DatasetName(id));
  if (transaction.CountDatasets() >= limits.max_datasets) {
    return ResourceExhausted("there are {} datasets, which is the limit", limits.max_datasets);
  }
  return {};
}

}  // namespace

Result<haq::v1::Dataset> Datasets::Create(const haq::v1::CreateDatasetRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const RequestKey key, MakeRequestKey(request, context_.limits));
  HAQ_RETURN_IF_ERROR(CheckRequest(request, context_.limits));
  std::optional<std::string> repeated;
  HAQ_RETURN_IF_ERROR(context_.metadata.Read([&](store::Transaction& transaction) -> Status {
    HAQ_ASSIGN_OR_RETURN(repeated, FindRepeated(transaction, key));
    if (repeated) return {};
    return CheckNameIsFree(transaction, request.dataset_id(), context_.limits);
  }));
  if (!repeated) {
    // All that can be seen at a glance comes before minutes of decoding.
    for (int i = 0; i < request.dataset().shards_size(); ++i) {
      HAQ_RETURN_IF_ERROR(FindShard(context_, i, request.dataset().shards(i).sha256()).status());
    }
    HAQ_ASSIGN_OR_RETURN(store::DatasetRecord record, ReadShards(request, context_));
    return Insert(request, std::move(record));
  }
  haq::v1::GetDatasetRequest get;
  get.set_name(*repeated);
  return Get(get);
}

// Everything that another request may have changed since the checks is looked at again.
Result<haq::v1::Dataset> Datasets::Insert(const haq::v1::CreateDatasetRequest& request,
                                          store::DatasetRecord record) {
  HAQ_ASSIGN_OR_RETURN(const RequestKey key, MakeRequestKey(request, context_.limits));
  HAQ_RETURN_IF_ERROR(context_.metadata.Write([&](store::Transaction& transaction) -> Status {
    HAQ_ASSIGN_OR_RETURN(const auto repeated, FindRepeated(transaction, key));
    const auto existing = transaction.FindDataset(record.id);
    if (repeated && existing) {
      record = *existing;
      return {};
    }
    HAQ_RETURN_IF_ERROR(CheckNameIsFree(transaction, record.id, context_.limits));
    for (size_t i = 0; i < record.shards.size(); ++i) {
      HAQ_RETURN_IF_ERROR(
          FindShard(context_, static_cast<int>(i), record.shards[i].sha256).status());
    }
    transaction.InsertDataset(record);
    Remember(transaction, key, DatasetName(record.id), record.create_time_us);
    return {};
  }));
  return ToProto(record);
}

Result<haq::v1::Dataset> Datasets::Get(const haq::v1::GetDatasetRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const std::string id, ParseDatasetName("name", request.name()));
  haq::v1::Dataset message;
  HAQ_RETURN_IF_ERROR(context_.metadata.Read([&](store::Transaction& transaction) -> Status {
    const auto dataset = transaction.FindDataset(id);
    if (!dataset) return NotFound("{} does not exist", request.name());
    message = ToProto(*dataset);
    return {};
  }));
  return message;
}

Result<haq::v1::ListDatasetsResponse> Datasets::List(const haq::v1::ListDatasetsRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size(), context_.limits));
  HAQ_ASSIGN_OR_RETURN(const std::string after, ReadPageToken(kList, request.page_token()));
  haq::v1::ListDatasetsResponse response;
  HAQ_RETURN_IF_ERROR(context_.metadata.Read([&](store::Transaction& transaction) -> Status {
    const auto datasets = transaction.ListDatasets(after, size + 1);
    for (size_t i = 0; i < datasets.size() && static_cast<int64_t>(i) < size; ++i) {
      *response.add_datasets() = ToProto(datasets[i]);
    }
    if (static_cast<int64_t>(datasets.size()) > size) {
      response.set_next_page_token(MakePageToken(kList, datasets[size - 1].id));
    }
    return {};
  }));
  return response;
}

Status Datasets::Delete(const haq::v1::DeleteDatasetRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const std::string id, ParseDatasetName("name", request.name()));
  return context_.queue.Transact(
      [&](store::Transaction& transaction, jobs::Effects& effects) -> Status {
        const auto dataset = transaction.FindDataset(id);
        if (!dataset) return NotFound("{} does not exist", request.name());
        HAQ_RETURN_IF_ERROR(EndJobsThatUse(context_, transaction, effects, request.name(),
                                           transaction.ActiveJobsOfDataset(id), request.force()));
        for (const auto& shard : dataset->shards) effects.released_blobs.push_back(shard.sha256);
        transaction.DeleteDataset(id);
        return {};
      });
}

}  // namespace haq::server::api
