#include "server/api/models.h"

#include "core/base/file.h"
#include "core/base/sha256.h"
#include "core/data/preprocess.h"
#include "core/import/detect/detect.h"
#include "server/api/checks.h"
#include "server/api/convert.h"
#include "server/api/names.h"
#include "server/api/pages.h"
#include "server/api/requests.h"
#include "server/api/torchscript_file.h"

namespace haq::server::api {
namespace {

using import::DetectFormat;
using import::FormatName;
using import::ModelFormat;

constexpr char kList[] = "models";

Status CheckInputShape(const haq::v1::Model& model, const Limits& limits) {
  constexpr char kField[] = "model.input_shape";
  if (model.input_shape_size() != 3) {
    return InvalidField(kField, "must be three numbers, channels, height and width, found {}",
                        model.input_shape_size());
  }
  int64_t elements = 1;
  for (const int64_t dimension : model.input_shape()) {
    if (dimension < 1) return InvalidField(kField, "must be positive, found {}", dimension);
    if (dimension > limits.max_input_elements / elements) {
      return InvalidField(kField, "has more than {} elements", limits.max_input_elements);
    }
    elements *= dimension;
  }
  const int64_t channels = model.input_shape(0);
  if (channels != 1 && channels != 3) {
    return InvalidField(kField, "must have 1 or 3 channels first, found {}", channels);
  }
  return {};
}

Status CheckPreprocess(const haq::v1::Model& model, const Limits& limits) {
  constexpr char kField[] = "model.preprocess_json";
  const std::string& json = model.preprocess_json();
  if (static_cast<int64_t>(json.size()) > limits.max_preprocess_bytes) {
    return InvalidField(kField, "must have at most {} bytes, found {}", limits.max_preprocess_bytes,
                        json.size());
  }
  if (json.empty()) return {};
  const auto preprocess = data::Preprocess::FromJson(json);
  if (!preprocess.ok()) return InvalidField(kField, "{}", preprocess.status().message());
  return {};
}

Status CheckRequest(const haq::v1::CreateModelRequest& request, const Limits& limits) {
  const haq::v1::Model& model = request.model();
  HAQ_RETURN_IF_ERROR(CheckResourceId("model_id", request.model_id()));
  const std::string& format = model.format();
  if (!format.empty() && format != FormatName(ModelFormat::kTorchScript) &&
      format != FormatName(ModelFormat::kOnnx)) {
    return InvalidField("model.format", "must be torchscript or onnx, found '{}'",
                        format.substr(0, 80));
  }
  if (!IsSha256Hex(model.sha256())) {
    return InvalidField("model.sha256", "must be 64 lower-case hexadecimal digits, found '{}'",
                        model.sha256().substr(0, 80));
  }
  // Without one the file has to say it.
  if (model.input_shape_size() > 0) HAQ_RETURN_IF_ERROR(CheckInputShape(model, limits));
  HAQ_RETURN_IF_ERROR(CheckPreprocess(model, limits));
  return CheckClassNames("model.class_names", model.class_names(), limits);
}

Status NotUploaded(const std::string& sha256) {
  Status status = FailedPrecondition("model.sha256: no blob {} was uploaded", sha256);
  status.AddField("model.sha256", "upload it first");
  return status;
}

Status OfModel(const Status& status) {
  if (status.ok() || status.code() != StatusCode::kInvalidArgument) {
    return status.WithContext("model");
  }
  return InvalidField("model", "{}", status.message());
}

Result<ModelFormat> CheckFormat(const haq::v1::Model& model, const std::filesystem::path& path,
                                std::span<const uint8_t> file) {
  const Result<ModelFormat> format = DetectFormat(file);
  if (!format.ok()) return OfModel(format.status());
  if (!model.format().empty() && model.format() != FormatName(*format)) {
    return InvalidField("model.format", "is {}, the file is {}", model.format(),
                        FormatName(*format));
  }
  if (*format == ModelFormat::kTorchScript) {
    HAQ_RETURN_IF_ERROR(OfModel(CheckTorchScriptFile(path)));
  }
  return format;
}

// The shape that an ONNX file declares where the request has none.
Status FillInputShape(ModelFormat format, std::span<const uint8_t> file, const Limits& limits,
                      haq::v1::Model& model) {
  if (model.input_shape_size() > 0) return {};
  if (format == ModelFormat::kTorchScript) return CheckInputShape(model, limits);
  const auto shape = import::DeclaredInputShape(file);
  if (!shape.ok()) {
    return shape.status().fields().empty()
               ? shape.status()
               : InvalidField("model.input_shape", "{}", shape.status().fields()[0].description);
  }
  model.mutable_input_shape()->Assign(shape->begin(), shape->end());
  return CheckInputShape(model, limits);
}

// Looks at the uploaded file; fills in what of `model` it tells: format and input shape.
Status CheckBlob(const Context& context, haq::v1::Model& model) {
  const auto size = context.blobs.Find(model.sha256());
  if (!size) return NotUploaded(model.sha256());
  if (*size > context.limits.max_model_bytes) {
    return ResourceExhausted("model: size_bytes {} is over the limit of {}", *size,
                             context.limits.max_model_bytes);
  }
  const std::filesystem::path path = context.blobs.PathOf(model.sha256());
  HAQ_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  HAQ_ASSIGN_OR_RETURN(const ModelFormat format, CheckFormat(model, path, file.bytes()));
  model.set_format(std::string(FormatName(format)));
  return FillInputShape(format, file.bytes(), context.limits, model);
}

Status CheckNameIsFree(store::Transaction& transaction, const std::string& id,
                       const Limits& limits) {
  if (transaction.FindModel(id)) return AlreadyExists("{} exists already", ModelName(id));
  if (transaction.CountModels() >= limits.max_models) {
    return ResourceExhausted("there are {} models, which is the limit", limits.max_models);
  }
  return {};
}

store::ModelRecord MakeRecord(const std::string& id, const haq::v1::Model& model,
                              const Context& context) {
  store::ModelRecord record;
  record.id = id;
  record.format = model.format();
  record.sha256 = model.sha256();
  record.input_shape.assign(model.input_shape().begin(), model.input_shape().end());
  record.preprocess_json = model.preprocess_json().empty() ? "{}" : model.preprocess_json();
  record.class_names.assign(model.class_names().begin(), model.class_names().end());
  record.create_time_us = context.clock.NowUs();
  return record;
}

}  // namespace

Result<haq::v1::Model> Models::Create(const haq::v1::CreateModelRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const RequestKey key, MakeRequestKey(request, context_.limits));
  HAQ_RETURN_IF_ERROR(CheckRequest(request, context_.limits));
  std::optional<std::string> repeated;
  HAQ_RETURN_IF_ERROR(context_.metadata.Read([&](store::Transaction& transaction) -> Status {
    HAQ_ASSIGN_OR_RETURN(repeated, FindRepeated(transaction, key));
    if (repeated) return {};
    return CheckNameIsFree(transaction, request.model_id(), context_.limits);
  }));
  if (!repeated) {
    haq::v1::Model model = request.model();
    HAQ_RETURN_IF_ERROR(CheckBlob(context_, model));
    return Insert(request, model);
  }
  haq::v1::GetModelRequest get;
  get.set_name(*repeated);
  return Get(get);
}

// Everything that another request may have changed since the checks is looked at again.
Result<haq::v1::Model> Models::Insert(const haq::v1::CreateModelRequest& request,
                                      const haq::v1::Model& model) {
  HAQ_ASSIGN_OR_RETURN(const RequestKey key, MakeRequestKey(request, context_.limits));
  store::ModelRecord record = MakeRecord(request.model_id(), model, context_);
  HAQ_RETURN_IF_ERROR(context_.metadata.Write([&](store::Transaction& transaction) -> Status {
    HAQ_ASSIGN_OR_RETURN(const auto repeated, FindRepeated(transaction, key));
    const auto existing = transaction.FindModel(record.id);
    if (repeated && existing) {
      record = *existing;
      return {};
    }
    HAQ_RETURN_IF_ERROR(CheckNameIsFree(transaction, record.id, context_.limits));
    const auto size = context_.blobs.Find(record.sha256);
    if (!size) return NotUploaded(record.sha256);
    record.size_bytes = *size;
    transaction.InsertModel(record);
    Remember(transaction, key, ModelName(record.id), record.create_time_us);
    return {};
  }));
  return ToProto(record);
}

Result<haq::v1::Model> Models::Get(const haq::v1::GetModelRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const std::string id, ParseModelName("name", request.name()));
  haq::v1::Model message;
  HAQ_RETURN_IF_ERROR(context_.metadata.Read([&](store::Transaction& transaction) -> Status {
    const auto model = transaction.FindModel(id);
    if (!model) return NotFound("{} does not exist", request.name());
    message = ToProto(*model);
    return {};
  }));
  return message;
}

Result<haq::v1::ListModelsResponse> Models::List(const haq::v1::ListModelsRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size(), context_.limits));
  HAQ_ASSIGN_OR_RETURN(const std::string after, ReadPageToken(kList, request.page_token()));
  haq::v1::ListModelsResponse response;
  HAQ_RETURN_IF_ERROR(context_.metadata.Read([&](store::Transaction& transaction) -> Status {
    const auto models = transaction.ListModels(after, size + 1);
    for (size_t i = 0; i < models.size() && static_cast<int64_t>(i) < size; ++i) {
      *response.add_models() = ToProto(models[i]);
    }
    if (static_cast<int64_t>(models.size()) > size) {
      response.set_next_page_token(MakePageToken(kList, models[size - 1].id));
    }
    return {};
  }));
  return response;
}

Status Models::Delete(const haq::v1::DeleteModelRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const std::string id, ParseModelName("name", request.name()));
  const std::lock_guard lock(context_.versions_mutex);
  HAQ_RETURN_IF_ERROR(context_.queue.Transact(
      [&](store::Transaction& transaction, jobs::Effects& effects) -> Status {
        const auto model = transaction.FindModel(id);
        if (!model) return NotFound("{} does not exist", request.name());
        HAQ_RETURN_IF_ERROR(EndJobsThatUse(context_, transaction, effects, request.name(),
                                           transaction.ActiveJobsOfModel(id), request.force()));
        effects.released_blobs.push_back(model->sha256);
        for (const auto& artifact : transaction.ListArtifacts(id, "", 0, model->last_version + 1)) {
          effects.released_blobs.push_back(artifact.sha256);
        }
        transaction.DeleteModel(id);
        return {};
      }));
  if (context_.artifact_listener) context_.artifact_listener->OnModelDeleted(id);
  return {};
}

}  // namespace haq::server::api
