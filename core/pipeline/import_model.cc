#include "core/pipeline/import_model.h"

#include "core/import/detect/detect.h"
#include "core/import/onnx/import.h"
#include "core/import/torchscript/import.h"

namespace haq::pipeline {

Result<ir::Graph> ImportModel(std::span<const uint8_t> bytes,
                              const std::vector<int64_t>& input_shape,
                              ir::GivenQuantization& given) {
  given = {};
  HAQ_ASSIGN_OR_RETURN(const import::ModelFormat format, import::DetectFormat(bytes));
  switch (format) {
    case import::ModelFormat::kTorchScript:
      return import::ImportTorchScript(bytes, input_shape);
    case import::ModelFormat::kOnnx:
      return import::ImportOnnx(bytes, input_shape, &given);
  }
  return InternalError("a model format without importer");
}

}  // namespace haq::pipeline
