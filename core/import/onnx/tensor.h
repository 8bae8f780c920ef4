// Constants while a model is imported: floating point numbers, or integers. Private to this folder.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/import/onnx/scan.h"
#include "core/ir/graph.h"

namespace onnx {
class TensorProto;
}

namespace haq::import::from_onnx {

// Numbers of ONNX's TensorProto.DataType.
enum class ElementType : int32_t {
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
};
bool IsFloat(ElementType type);
std::string_view TypeName(ElementType type);

// Row-major. Dimensions are 0 or more here, unlike in the graph: an empty list is a constant too.
// Half and double precision become float. One of the two arrays has the elements.
struct Tensor {
  ElementType type = ElementType::kFloat;
  ir::Shape shape;
  std::vector<float> floats;
  std::vector<int64_t> integers;
  // Of floats that are these scales (one, or one for each index of an axis) times 8-bit integers.
  std::vector<float> scales = {};

  bool is_float() const { return IsFloat(type); }
  int64_t count() const {
    return static_cast<int64_t>(is_float() ? floats.size() : integers.size());
  }
  double At(int64_t i) const {
    return is_float() ? double(floats[i]) : static_cast<double>(integers[i]);
  }
};
using TensorPtr = std::shared_ptr<const Tensor>;

TensorPtr MakeIntegers(ir::Shape shape, std::vector<int64_t> integers,
                       ElementType type = ElementType::kInt64);
TensorPtr MakeFloats(ir::Shape shape, std::vector<float> floats);

// More dimensions than any operator looks at.
inline constexpr size_t kMaxRank = 32;

// Product of the dimensions, which may be 0; kInvalidArgument for a negative one or more than
// kMaxRank of them, kResourceExhausted for more than `most` elements.
Result<int64_t> CountOf(const ir::Shape& shape, int64_t most);

// Unpacks what the file stores. kUnsupported: data in another file, types without numbers;
// kInvalidArgument: fewer or more bytes than the shape says, checked before anything is allocated.
Result<TensorPtr> Decode(const ::onnx::TensorProto& proto);

}  // namespace haq::import::from_onnx
