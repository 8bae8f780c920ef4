#include "core/import/onnx/operators.h"

namespace haq::import::from_onnx {

const ImporterTable& Importers() {
  static const ImporterTable kImporters = [] {
    ImporterTable all;
    for (ImporterTable table :
         {LayerImporters(), ActivationImporters(), ArithmeticImporters(), PoolingImporters(),
          ShapeImporters(), SelectionImporters(), QuantizedImporters()}) {
      all.merge(table);
    }
    return all;
  }();
  return kImporters;
}

}  // namespace haq::import::from_onnx
