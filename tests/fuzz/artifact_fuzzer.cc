// Any bytes as a .haq file, twice: as they are, and with size and checksum put right, so that the
// damage reaches the structure. What the reader accepts must be written back to the same bytes, and
// must run, when it is small: in a batch the same as alone. What its metadata says of clipping is
// refused or fits the model.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/artifact/clipping.h"
#include "core/artifact/file.h"
#include "core/runtime/session.h"

namespace {

using namespace haq;

void Check(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// Work that each element of the output costs, about.
struct Cost {
  const artifact::Model& model;
  const artifact::Layer& layer;

  double operator()(const artifact::Conv2d& op) const {
    return static_cast<double>(op.weight.size()) / static_cast<double>(op.channels.size());
  }
  double operator()(const artifact::Linear& op) const {
    return static_cast<double>(op.weight.size()) / static_cast<double>(op.channels.size());
  }
  double operator()(const artifact::WideConv2d& op) const {
    return static_cast<double>(op.weight.size()) / static_cast<double>(op.channels.size());
  }
  double operator()(const artifact::WideLinear& op) const {
    return static_cast<double>(op.weight.size()) / static_cast<double>(op.channels.size());
  }
  double operator()(const artifact::WideAvgPool2d&) const {
    return static_cast<double>(model.tensors[layer.inputs[0]].ElementCount());
  }
  double operator()(const artifact::MaxPool2d& op) const {
    return static_cast<double>(op.kernel_h) * op.kernel_w;
  }
  double operator()(const artifact::AvgPool2d&) const {
    return static_cast<double>(model.tensors[layer.inputs[0]].ElementCount());
  }
  template <typename T>
  double operator()(const T&) const {
    return 1;
  }
};

bool IsSmall(const artifact::Model& model) {
  double cost = 0;
  for (const artifact::Tensor& tensor : model.tensors) {
    cost += static_cast<double>(tensor.ElementCount());
  }
  for (const artifact::Layer& layer : model.layers) {
    cost += std::visit(Cost{model, layer}, layer.op) *
            static_cast<double>(model.tensors[layer.output].ElementCount());
  }
  return cost < 2e5;
}

std::vector<uint8_t> RunBatch(runtime::Session& session, int64_t n, int64_t first) {
  const artifact::Model& model = session.model().model();
  const auto bytes = [&](int32_t tensor) {
    const artifact::Tensor& t = model.tensors[tensor];
    return t.ElementCount() * artifact::LevelBytes(t.type);
  };
  std::vector<uint8_t> input(n * bytes(model.input));
  for (size_t i = 0; i < input.size(); ++i) {
    const size_t at = i + first * bytes(model.input);
    input[i] = static_cast<uint8_t>(at * 2654435761u >> 13);
  }
  std::vector<uint8_t> output(n * bytes(model.output));
  Check(session.RunQuantized(n, input, output).ok(), "a verified model runs");
  return output;
}

void RunModel(artifact::Model model) {
  auto loaded = runtime::LoadedModel::Create(std::move(model));
  Check(loaded.ok(), "a verified model loads");
  auto session = runtime::Session::Create(*loaded, 2);
  Check(session.ok(), "a small model gets a session");
  const std::vector<uint8_t> both = RunBatch(**session, 2, 0);
  std::vector<uint8_t> single = RunBatch(**session, 1, 0);
  const std::vector<uint8_t> second = RunBatch(**session, 1, 1);
  single.insert(single.end(), second.begin(), second.end());
  Check(both == single, "a batch is its samples");
}

void CheckClipping(const artifact::Model& model) {
  const auto clipping = artifact::ReadClipping(model);
  if (!clipping.ok()) return;
  for (const artifact::TensorClipping& tensor : clipping->tensors) {
    Check(tensor.tensor >= 0 && static_cast<size_t>(tensor.tensor) < model.tensors.size(),
          "clipping is of a tensor");
    const artifact::Tensor& of = model.tensors[static_cast<size_t>(tensor.tensor)];
    Check(of.type == artifact::DataType::kUint8 && (tensor.low || tensor.high), "of its ends");
    Check(tensor.clipped >= 0 && tensor.clipped <= clipping->images * of.ElementCount(),
          "and of its elements");
  }
}

void Try(const std::vector<uint8_t>& bytes) {
  auto model = artifact::Parse(bytes);
  if (!model.ok()) return;
  auto written = artifact::Serialize(*model);
  Check(written.ok() && *written == bytes, "what is read is what is written");
  CheckClipping(*model);
  if (IsSmall(*model)) RunModel(*std::move(model));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  Try(bytes);
  if (size < 64) return 0;
  const uint64_t file_bytes = size;
  std::memcpy(bytes.data() + 16, &file_bytes, sizeof(file_bytes));
  const Sha256Digest digest = artifact::ArtifactDigest(bytes);
  std::memcpy(bytes.data() + 32, digest.data(), digest.size());
  Try(bytes);
  return 0;
}
