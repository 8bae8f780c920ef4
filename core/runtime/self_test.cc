#include "core/runtime/self_test.h"

#include <bit>
#include <cstring>

#include "core/kernels/kernels.h"

namespace haq::runtime {
namespace {

// One could meet only levels that a defect leaves alone; each costs one inference at every load.
constexpr uint64_t kSeeds[] = {1, 2};

static_assert(std::endian::native == std::endian::little, "golden inputs are little-endian");

// SplitMix64 (Steele, Lea, Flood 2014).
uint64_t Next(uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

size_t Bytes(const artifact::Tensor& tensor) {
  return static_cast<size_t>(tensor.ElementCount() * artifact::LevelBytes(tensor.type));
}

Result<Sha256Digest> OutputDigest(Session& session, uint64_t seed) {
  const artifact::Model& model = session.model().model();
  std::vector<uint8_t> output(Bytes(model.tensors[model.output]));
  HAQ_RETURN_IF_ERROR(
      session.RunQuantized(1, GoldenInput(model.tensors[model.input], seed), output));
  return Sha256Of(output);
}

}  // namespace

std::vector<uint8_t> GoldenInput(const artifact::Tensor& input, uint64_t seed) {
  std::vector<uint8_t> bytes(Bytes(input));
  for (size_t i = 0; i < bytes.size(); i += sizeof(uint64_t)) {
    const uint64_t word = Next(seed);
    std::memcpy(bytes.data() + i, &word, std::min(sizeof(word), bytes.size() - i));
  }
  return bytes;
}

Result<std::vector<artifact::Golden>> MakeGolden(const artifact::Model& model) {
  HAQ_ASSIGN_OR_RETURN(const auto loaded, LoadedModel::Create(model, &kernels::ReferenceKernels()));
  HAQ_ASSIGN_OR_RETURN(const auto session, Session::Create(loaded));
  std::vector<artifact::Golden> golden;
  for (const uint64_t seed : kSeeds) {
    HAQ_ASSIGN_OR_RETURN(const Sha256Digest digest, OutputDigest(*session, seed));
    golden.push_back({seed, digest});
  }
  return golden;
}

Status SelfTest(Session& session) {
  for (const artifact::Golden& golden : session.model().model().golden) {
    HAQ_ASSIGN_OR_RETURN(const Sha256Digest digest, OutputDigest(session, golden.seed));
    if (digest == golden.output_sha256) continue;
    return InternalError(
        "the self-test failed: on the \"{}\" kernels the golden input of seed {} gives an output "
        "with the digest {}, the artifact says {}; either is wrong, so the model is not used",
        session.model().kernel_path(), golden.seed, ToHex(digest), ToHex(golden.output_sha256));
  }
  return {};
}

}  // namespace haq::runtime
