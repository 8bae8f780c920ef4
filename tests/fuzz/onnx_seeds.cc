// Writes the first inputs of the ONNX fuzzer into the folder given: the ONNX project's test cases
// of operators that the importer knows (where Debian's libonnx-testdata is installed), and a
// network of many operators.
#include <cstdio>
#include <filesystem>
#include <set>

#include "core/base/file.h"
#include "core/import/onnx/import.h"
#include "tests/support/onnx_model.h"

namespace {

using haq::test::OnnxModel;
using haq::test::Set;
using List = std::vector<int64_t>;

constexpr char kCases[] = "/usr/share/libonnx-testdata/data/node";

std::vector<uint8_t> Network() {
  OnnxModel model({-1, 2, 6, 6});
  model.Weights("w", {4, 2, 3, 3}).Weights("d", {4, 1, 3, 3}).Weights("four", {4});
  model.Floats("ones", {4}, {1, 1, 1, 1}).Weights("fc", {4, 3}).Floats("six", {}, {6});
  auto& conv = model.Node("Conv", {"x", "w"}, "c");
  Set(conv, "auto_pad", std::string("SAME_UPPER"));
  model.Node("BatchNormalization", {"c", "ones", "four", "four", "ones"}, "b");
  model.Node("Clip", {"b", "", "six"}, "r");
  auto& depthwise = model.Node("Conv", {"r", "d"}, "dw");
  Set(depthwise, "group", int64_t{4});
  Set(depthwise, "pads", List{1, 1, 1, 1});
  model.Node("Add", {"r", "dw"}, "sum");
  auto& pool = model.Node("MaxPool", {"sum"}, "p");
  Set(pool, "kernel_shape", List{2, 2});
  Set(pool, "strides", List{2, 2});
  model.Node("Shape", {"p"}, "shape");
  model.Integers("first", {}, {0}).Node("Gather", {"shape", "first"}, "n");
  model.Node("GlobalAveragePool", {"p"}, "g");
  model.Node("Flatten", {"g"}, "f");
  model.Node("Gemm", {"f", "fc"}, "logits");
  model.Node("Softmax", {"logits"}, "y");
  return model.Bytes();
}

bool IsKnown(const ::onnx::ModelProto& model, const std::set<std::string>& known) {
  for (const auto& node : model.graph().node()) {
    if (!known.contains(node.op_type())) return false;
  }
  return true;
}

bool Write(const std::filesystem::path& path, const std::vector<uint8_t>& bytes) {
  const haq::Status status = haq::WriteFileDurably(path, bytes);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_onnx_seeds FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  bool ok = Write(folder / "seed_network", Network());
  const auto supported = haq::import::SupportedOnnxOperators();
  const std::set<std::string> known(supported.begin(), supported.end());
  if (!std::filesystem::exists(kCases)) return ok ? 0 : 1;
  for (const auto& entry : std::filesystem::directory_iterator(kCases)) {
    const auto bytes = haq::ReadFile(entry.path() / "model.onnx");
    ::onnx::ModelProto model;
    if (!bytes.ok() || !model.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
      continue;
    }
    if (!IsKnown(model, known)) continue;
    ok = Write(folder / ("seed_" + entry.path().filename().string()), *bytes) && ok;
  }
  return ok ? 0 : 1;
}
