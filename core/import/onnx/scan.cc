#include "core/import/onnx/scan.h"

#include "core/import/detect/wire.h"

namespace haq::import::from_onnx {

namespace {

using Bytes = std::span<const uint8_t>;

enum class Kind { kModel, kGraph, kNode, kAttribute, kTensor, kOther };

// The message in field `number` of a message of that kind. kOther stands for messages that are
// counted but hold none of those that matter (value infos, opset imports, key-value pairs).
struct Child {
  Kind parent;
  uint32_t number;
  Kind kind;
};
// Field numbers of onnx.proto.
constexpr Child kChildren[] = {
    {Kind::kModel, 7, Kind::kGraph},      {Kind::kModel, 8, Kind::kOther},
    {Kind::kModel, 14, Kind::kOther},     {Kind::kModel, 20, Kind::kOther},
    {Kind::kModel, 25, Kind::kOther},     {Kind::kGraph, 1, Kind::kNode},
    {Kind::kGraph, 5, Kind::kTensor},     {Kind::kGraph, 11, Kind::kOther},
    {Kind::kGraph, 12, Kind::kOther},     {Kind::kGraph, 13, Kind::kOther},
    {Kind::kGraph, 14, Kind::kOther},     {Kind::kGraph, 15, Kind::kOther},
    {Kind::kNode, 5, Kind::kAttribute},   {Kind::kAttribute, 5, Kind::kTensor},
    {Kind::kAttribute, 6, Kind::kGraph},  {Kind::kAttribute, 10, Kind::kTensor},
    {Kind::kAttribute, 11, Kind::kGraph}, {Kind::kAttribute, 14, Kind::kOther},
    {Kind::kAttribute, 15, Kind::kOther}, {Kind::kAttribute, 22, Kind::kOther},
    {Kind::kAttribute, 23, Kind::kOther}, {Kind::kTensor, 3, Kind::kOther},
    {Kind::kTensor, 13, Kind::kOther},
};
constexpr uint32_t kNodeOutput = 2, kNodeName = 3, kInitializer = 5;

const Child* FindChild(Kind parent, uint32_t number) {
  for (const Child& child : kChildren) {
    if (child.parent == parent && child.number == number) return &child;
  }
  return nullptr;
}

std::string NodeName(Bytes node) {
  std::string_view name, output;
  WireReader reader(node);
  for (WireField field; reader.Next(field);) {
    if (field.type != WireField::Type::kBytes) continue;
    if (field.number == kNodeName) name = field.text();
    if (field.number == kNodeOutput && output.empty()) output = field.text();
  }
  return std::string((name.empty() ? output : name).substr(0, 80));
}

class Scanner {
 public:
  explicit Scanner(const Limits& limits) : limits_(limits) {}

  Status Scan(Bytes bytes, Kind kind, int64_t depth) {
    if (depth > limits_.depth) {
      return InvalidArgument("messages are nested more than {} deep", limits_.depth);
    }
    WireReader reader(bytes);
    for (WireField field; reader.Next(field);) {
      if (++fields_ > limits_.fields) {
        return ResourceExhausted("the file has more than {} fields", limits_.fields);
      }
      if (field.type != WireField::Type::kBytes) continue;
      HAQ_RETURN_IF_ERROR(ScanField(field, kind, depth));
    }
    if (!reader.damaged()) return {};
    return InvalidArgument("the file is truncated or damaged: a field reaches beyond its message");
  }

 private:
  Status ScanField(const WireField& field, Kind kind, int64_t depth) {
    if (kind == Kind::kOther) return ScanUnknown(field.bytes, depth + 1);
    const Child* child = FindChild(kind, field.number);
    if (child == nullptr) return {};
    if (child->kind == Kind::kNode && ++nodes_ > limits_.nodes) {
      return ResourceExhausted("node '{}' is one too many: a graph may have {} nodes",
                               NodeName(field.bytes), limits_.nodes);
    }
    if (kind == Kind::kGraph && field.number == kInitializer &&
        ++initializers_ > limits_.initializers) {
      return ResourceExhausted("a graph may have {} initializers", limits_.initializers);
    }
    const Status status = Scan(field.bytes, child->kind, depth + 1);
    if (status.ok() || child->kind != Kind::kNode) return status;
    return status.WithContext("node '" + NodeName(field.bytes) + "'");
  }

  // Text or a message: only what parses as one counts.
  Status ScanUnknown(Bytes bytes, int64_t depth) {
    if (depth > limits_.depth) return {};
    WireReader reader(bytes);
    for (WireField field; reader.Next(field);) {
      if (++fields_ > limits_.fields) {
        return ResourceExhausted("the file has more than {} fields", limits_.fields);
      }
      if (field.type == WireField::Type::kBytes) {
        HAQ_RETURN_IF_ERROR(ScanUnknown(field.bytes, depth + 1));
      }
    }
    return {};
  }

  const Limits& limits_;
  int64_t fields_ = 0, nodes_ = 0, initializers_ = 0;
};

}  // namespace

Status ScanModel(Bytes bytes, const Limits& limits) {
  if (static_cast<int64_t>(bytes.size()) > limits.file_bytes) {
    return ResourceExhausted("the file has {} bytes, allowed are {}", bytes.size(),
                             limits.file_bytes);
  }
  return Scanner(limits).Scan(bytes, Kind::kModel, 0);
}

}  // namespace haq::import::from_onnx
