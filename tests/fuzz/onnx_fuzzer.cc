// Any bytes as an ONNX file: an error, or a graph that is what the graph's own rules say. Each
// input is imported for a shape that suits the seeds.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "core/import/detect/detect.h"
#include "core/import/onnx/import.h"

namespace {

void Check(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  const auto declared = haq::import::DeclaredInputShape(bytes);
  std::vector<int64_t> shape{2, 6, 6};
  // What a file declares is tried as well, where it is small.
  if (declared.ok() && declared->size() <= 4) {
    int64_t elements = 1;
    for (const int64_t dimension : *declared) {
      elements = dimension > 4096 ? 4097 : elements * dimension;
      if (elements > 4096) break;
    }
    if (elements <= 4096) shape = *declared;
  }
  const auto graph = haq::import::ImportOnnx(bytes, shape);
  if (graph.ok()) Check(haq::ir::Verify(*graph).ok(), "what is imported is a graph");
  return 0;
}
