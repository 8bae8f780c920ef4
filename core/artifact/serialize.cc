#include <cstring>

#include "core/artifact/fields.h"
#include "core/artifact/file.h"
#include "core/artifact/layout.h"
#include "core/base/byte_io.h"
#include "core/base/sha256.h"

namespace haq::artifact {
namespace {

// The fields go to the structure, the arrays to the blobs section.
class Writer {
 public:
  template <typename T>
  requires std::is_arithmetic_v<T>
  void operator()(T value) { structure_.Write(value); }

  void operator()(const std::string& text) { structure_.WriteString(text); }

  template <typename T>
  void operator()(const std::vector<T>& values) {
    structure_.Write<uint64_t>(values.size());
    for (const T& value : values) (*this)(value);
  }

  template <typename T>
  void operator()(Blob<T> blob) {
    structure_.Write<uint64_t>(blobs_.size());
    structure_.Write<uint64_t>(blob.size());
    static_assert(std::has_unique_object_representations_v<T>);  // no bytes without meaning
    const auto* first = reinterpret_cast<const uint8_t*>(blob.data());
    blobs_.insert(blobs_.end(), first, first + blob.size_bytes());
    blobs_.resize(internal::AlignUp(blobs_.size()));
  }

  std::vector<uint8_t> TakeStructure() { return structure_.Take(); }
  std::vector<uint8_t> TakeBlobs() { return std::move(blobs_); }

 private:
  ByteWriter structure_;
  std::vector<uint8_t> blobs_;
};

void WriteTensor(Writer& writer, const Tensor& tensor) {
  writer(tensor.name), writer(static_cast<uint8_t>(tensor.type)), writer(tensor.shape);
  writer(tensor.scale), writer(tensor.zero_point);
}

void WriteLayer(Writer& writer, const Layer& layer) {
  writer(layer.name), writer(layer.inputs), writer(layer.output);
  writer(layer.acc_min), writer(layer.acc_max);
  writer(static_cast<uint8_t>(layer.op.index() + 1));
  Op op = layer.op;
  std::visit([&](auto& concrete) { internal::Transfer(writer, concrete); }, op);
}

void WriteGolden(Writer& writer, const Golden& golden) {
  writer(golden.seed);
  for (const uint8_t byte : golden.output_sha256) writer(byte);
}

template <typename T>
void Put(std::vector<uint8_t>& bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

}  // namespace

Result<std::vector<uint8_t>> Serialize(const Model& model) {
  HAQ_RETURN_IF_ERROR(Verify(model));
  Writer writer;
  writer(uint64_t{model.tensors.size()});
  for (const Tensor& tensor : model.tensors) WriteTensor(writer, tensor);
  writer(uint64_t{model.layers.size()});
  for (const Layer& layer : model.layers) WriteLayer(writer, layer);
  writer(model.input), writer(model.output), writer(model.input_shape);
  writer(model.preprocess_json), writer(model.class_names), writer(model.metadata_json);
  writer(uint64_t{model.golden.size()});
  for (const Golden& golden : model.golden) WriteGolden(writer, golden);

  std::vector<uint8_t> bytes(internal::kHeaderBytes);
  const std::vector<uint8_t> structure = writer.TakeStructure(), blobs = writer.TakeBlobs();
  bytes.reserve(internal::AlignUp(bytes.size() + structure.size()) + blobs.size());
  bytes.insert(bytes.end(), structure.begin(), structure.end());
  bytes.resize(internal::AlignUp(bytes.size()));
  bytes.insert(bytes.end(), blobs.begin(), blobs.end());

  std::memcpy(bytes.data(), internal::kMagic.data(), internal::kMagic.size());
  Put(bytes, internal::kVersionAt, internal::kVersion);
  Put(bytes, internal::kFileBytesAt, uint64_t{bytes.size()});
  Put(bytes, internal::kStructureBytesAt, uint64_t{structure.size()});
  Put(bytes, internal::kDigestAt, ArtifactDigest(bytes));
  return bytes;
}

Sha256Digest ArtifactDigest(std::span<const uint8_t> bytes) {
  Sha256 sha;
  sha.Update(bytes.first(internal::kDigestAt));
  sha.Update(bytes.subspan(internal::kDigestAt + internal::kDigestBytes));
  return sha.Finish();
}

}  // namespace haq::artifact
