#include "core/import/onnx/tensor.h"

#include <onnx/onnx_pb.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace haq::import::from_onnx {

namespace {

using ::onnx::TensorProto;

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

// IEEE 754 binary16.
float FromHalf(uint16_t half) {
  const int exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
  float value = 0;
  if (exponent == 0x1f) {
    value = fraction == 0 ? std::numeric_limits<float>::infinity()
                          : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    value = std::ldexp(static_cast<float>(fraction | 0x400), exponent - 25);
  }
  return (half & 0x8000) != 0 ? -value : value;
}

size_t BytesOf(ElementType type) {
  switch (type) {
    case ElementType::kUint8:
    case ElementType::kInt8:
    case ElementType::kBool:
      return 1;
    case ElementType::kUint16:
    case ElementType::kInt16:
    case ElementType::kFloat16:
      return 2;
    case ElementType::kFloat:
    case ElementType::kInt32:
      return 4;
    default:
      return 8;
  }
}

template <typename Stored, typename Element, typename Convert>
void Unpack(const std::string& raw, std::vector<Element>& elements, const Convert& convert) {
  elements.resize(raw.size() / sizeof(Stored));
  for (size_t i = 0; i < elements.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, raw.data() + i * sizeof(Stored), sizeof(Stored));
    elements[i] = static_cast<Element>(convert(stored));
  }
}

void UnpackRaw(const std::string& raw, Tensor& tensor) {
  const auto same = [](auto value) { return value; };
  switch (tensor.type) {
    case ElementType::kFloat:
      return Unpack<float>(raw, tensor.floats, same);
    case ElementType::kFloat16:
      return Unpack<uint16_t>(raw, tensor.floats, FromHalf);
    case ElementType::kDouble:
      return Unpack<double>(raw, tensor.floats, same);
    case ElementType::kBool:
    case ElementType::kUint8:
      return Unpack<uint8_t>(raw, tensor.integers, same);
    case ElementType::kInt8:
      return Unpack<int8_t>(raw, tensor.integers, same);
    case ElementType::kUint16:
      return Unpack<uint16_t>(raw, tensor.integers, same);
    case ElementType::kInt16:
      return Unpack<int16_t>(raw, tensor.integers, same);
    case ElementType::kInt32:
      return Unpack<int32_t>(raw, tensor.integers, same);
    case ElementType::kInt64:
      return Unpack<int64_t>(raw, tensor.integers, same);
  }
}

// Without raw_data the elements stand in the list of their kind.
void UnpackLists(const TensorProto& proto, Tensor& tensor) {
  switch (tensor.type) {
    case ElementType::kFloat:
      tensor.floats.assign(proto.float_data().begin(), proto.float_data().end());
      return;
    case ElementType::kDouble:
      tensor.floats.assign(proto.double_data().begin(), proto.double_data().end());
      return;
    case ElementType::kFloat16:
      for (const int32_t bits : proto.int32_data()) {
        tensor.floats.push_back(FromHalf(static_cast<uint16_t>(bits)));
      }
      return;
    case ElementType::kInt64:
      tensor.integers.assign(proto.int64_data().begin(), proto.int64_data().end());
      return;
    default:
      tensor.integers.assign(proto.int32_data().begin(), proto.int32_data().end());
  }
}

Result<ElementType> TypeOf(const TensorProto& proto) {
  switch (proto.data_type()) {
    case TensorProto::FLOAT:
    case TensorProto::UINT8:
    case TensorProto::INT8:
    case TensorProto::UINT16:
    case TensorProto::INT16:
    case TensorProto::INT32:
    case TensorProto::INT64:
    case TensorProto::BOOL:
    case TensorProto::FLOAT16:
    case TensorProto::DOUBLE:
      return static_cast<ElementType>(proto.data_type());
    default:
      return Unsupported(
          "has elements of type {}; supported are float, float16, double, bool and integers",
          proto.data_type());
  }
}

}  // namespace

bool IsFloat(ElementType type) {
  return type == ElementType::kFloat || type == ElementType::kFloat16 ||
         type == ElementType::kDouble;
}

std::string_view TypeName(ElementType type) {
  switch (type) {
    case ElementType::kFloat:
      return "float";
    case ElementType::kUint8:
      return "uint8";
    case ElementType::kInt8:
      return "int8";
    case ElementType::kUint16:
      return "uint16";
    case ElementType::kInt16:
      return "int16";
    case ElementType::kInt32:
      return "int32";
    case ElementType::kInt64:
      return "int64";
    case ElementType::kBool:
      return "bool";
    case ElementType::kFloat16:
      return "float16";
    case ElementType::kDouble:
      return "double";
  }
  return "unknown";
}

TensorPtr MakeIntegers(ir::Shape shape, std::vector<int64_t> integers, ElementType type) {
  return std::make_shared<const Tensor>(Tensor{type, std::move(shape), {}, std::move(integers)});
}

TensorPtr MakeFloats(ir::Shape shape, std::vector<float> floats) {
  return std::make_shared<const Tensor>(
      Tensor{ElementType::kFloat, std::move(shape), std::move(floats), {}});
}

Result<int64_t> CountOf(const ir::Shape& shape, int64_t most) {
  if (shape.size() > kMaxRank) {
    return InvalidArgument("has {} dimensions, allowed are {}", shape.size(), kMaxRank);
  }
  bool empty = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0) {
      return InvalidArgument("shape {}: dimension {} is negative", ir::ShapeToString(shape),
                             dimension);
    }
    empty |= dimension == 0;
  }
  if (empty) return 0;
  int64_t count = 1;
  for (const int64_t dimension : shape) {
    if (dimension > most / count) {
      return ResourceExhausted("shape {}: more than {} elements", ir::ShapeToString(shape), most);
    }
    count *= dimension;
  }
  return count;
}

Result<TensorPtr> Decode(const TensorProto& proto) {
  if (proto.data_location() == TensorProto::EXTERNAL || proto.external_data_size() > 0) {
    return Unsupported(
        "has its data in another file; save the model as one file (onnx.save with "
        "save_as_external_data=False)");
  }
  if (proto.has_segment()) return Unsupported("is stored in segments");
  Tensor tensor;
  HAQ_ASSIGN_OR_RETURN(tensor.type, TypeOf(proto));
  tensor.shape.assign(proto.dims().begin(), proto.dims().end());
  HAQ_ASSIGN_OR_RETURN(const int64_t count, CountOf(tensor.shape, int64_t{1} << 40));
  if (proto.has_raw_data()) {
    const size_t element = BytesOf(tensor.type);
    const std::string& raw = proto.raw_data();
    if (raw.size() % element != 0 || raw.size() / element != static_cast<size_t>(count)) {
      return InvalidArgument("of shape {} and type {} has {} bytes",
                             ir::ShapeToString(tensor.shape), TypeName(tensor.type), raw.size());
    }
    UnpackRaw(raw, tensor);
  } else {
    UnpackLists(proto, tensor);
  }
  if (tensor.count() == count) return std::make_shared<const Tensor>(std::move(tensor));
  return InvalidArgument("of shape {} and type {} has {} elements", ir::ShapeToString(tensor.shape),
                         TypeName(tensor.type), tensor.count());
}

}  // namespace haq::import::from_onnx
