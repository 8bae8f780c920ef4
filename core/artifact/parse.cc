#include <algorithm>
#include <array>
#include <cstring>

#include "core/artifact/fields.h"
#include "core/artifact/file.h"
#include "core/artifact/layout.h"
#include "core/base/byte_io.h"
#include "core/base/sha256.h"

namespace haq::artifact {
namespace {

template <typename T>
T Get(std::span<const uint8_t> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

bool AllZero(std::span<const uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

// A view of the blobs section of the wanted type: in place where its address permits, a copy in the
// model's storage otherwise.
template <typename T>
Blob<T> ViewAs(std::span<const uint8_t> bytes, Model& model) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % alignof(T) == 0) {
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return model.Own(std::move(values));
}

// Reads fields from the structure and blobs from the blobs section. The first failure stays;
// everything read after it is zero or empty. Nothing is allocated that is larger than what is left
// of the file.
class Reader {
 public:
  Reader(std::span<const uint8_t> structure, std::span<const uint8_t> blobs, Model& model)
      : structure_(structure), blobs_(blobs), model_(model) {}

  template <typename T>
  requires std::is_arithmetic_v<T>
  void operator()(T& value) { value = structure_.Read<T>(); }

  void operator()(std::string& text) { text = structure_.ReadString(); }

  template <typename T>
  void operator()(std::vector<T>& values) {
    const uint64_t count = structure_.Read<uint64_t>();
    // Pushed one by one: a count that lies ends with the bytes.
    for (uint64_t i = 0; i < count && ok(); ++i) {
      T value{};
      (*this)(value);
      if (ok()) values.push_back(std::move(value));
    }
  }

  template <typename T>
  void operator()(Blob<T>& blob) {
    const uint64_t offset = structure_.Read<uint64_t>(), count = structure_.Read<uint64_t>();
    if (!ok()) return;
    // Blobs follow each other without gaps, so there is one file for one model.
    if (offset != used_) return Fail("a blob does not start where the one before ends");
    if (count > (blobs_.size() - used_) / sizeof(T)) return Fail("a blob exceeds the file");
    const uint64_t bytes = count * sizeof(T);
    const uint64_t end = internal::AlignUp(used_ + bytes);
    if (end > blobs_.size() || !AllZero(blobs_.subspan(used_ + bytes, end - used_ - bytes))) {
      return Fail("the padding of a blob is not zero");
    }
    blob = ViewAs<T>(blobs_.subspan(used_, bytes), model_);
    used_ = end;
  }

  void Fail(std::string_view reason) {
    if (failure_.empty()) failure_ = reason;
  }
  bool ok() const { return failure_.empty() && !structure_.failed(); }
  Status Finish() const {
    if (!failure_.empty()) return DataLoss("{}", failure_);
    if (structure_.failed()) return DataLoss("the structure ends too early");
    if (!structure_.AtEnd()) return DataLoss("the structure is longer than its content");
    if (used_ != blobs_.size()) return DataLoss("bytes after the last blob");
    return {};
  }

 private:
  ByteReader structure_;
  std::span<const uint8_t> blobs_;
  Model& model_;
  uint64_t used_ = 0;
  std::string failure_;
};

void ReadTensor(Reader& reader, Tensor& tensor) {
  uint8_t type = 0;
  reader(tensor.name), reader(type), reader(tensor.shape);
  reader(tensor.scale), reader(tensor.zero_point);
  tensor.type = static_cast<DataType>(type);
}

template <size_t... kIndex>
void ReadOp(Reader& reader, size_t index, Op& op, std::index_sequence<kIndex...>) {
  const auto read = [&]<size_t i>() { internal::Transfer(reader, op.emplace<i>()); };
  (void)((index == kIndex && (read.template operator()<kIndex>(), true)) || ...);
}

void ReadLayer(Reader& reader, Layer& layer) {
  uint8_t kind = 0;
  reader(layer.name), reader(layer.inputs), reader(layer.output);
  reader(layer.acc_min), reader(layer.acc_max), reader(kind);
  constexpr size_t kKinds = std::variant_size_v<Op>;
  if (kind < 1 || kind > kKinds) return reader.Fail("an operator is not known");
  ReadOp(reader, kind - 1u, layer.op, std::make_index_sequence<kKinds>());
}

void ReadGolden(Reader& reader, Golden& golden) {
  reader(golden.seed);
  for (uint8_t& byte : golden.output_sha256) reader(byte);
}

// A counted list of records, bounded before the first is read.
template <typename T>
Status ReadList(Reader& reader, std::string_view what, uint64_t limit, std::vector<T>& list,
                void (*read)(Reader&, T&)) {
  uint64_t count = 0;
  reader(count);
  if (count > limit) return ResourceExhausted("{} {}, {} is the limit", count, what, limit);
  for (uint64_t i = 0; i < count && reader.ok(); ++i) read(reader, list.emplace_back());
  return {};
}

Result<Model> ReadModel(std::span<const uint8_t> structure, std::span<const uint8_t> blobs,
                        const ArtifactLimits& limits) {
  Model model;
  Reader reader(structure, blobs, model);
  HAQ_RETURN_IF_ERROR(ReadList(reader, "tensors", limits.tensors, model.tensors, &ReadTensor));
  HAQ_RETURN_IF_ERROR(ReadList(reader, "layers", limits.layers, model.layers, &ReadLayer));
  reader(model.input), reader(model.output), reader(model.input_shape);
  reader(model.preprocess_json), reader(model.class_names), reader(model.metadata_json);
  HAQ_RETURN_IF_ERROR(ReadList(reader, "golden inputs", limits.golden, model.golden, &ReadGolden));
  HAQ_RETURN_IF_ERROR(reader.Finish());
  return model;
}

Status CheckHeader(std::span<const uint8_t> bytes, const ArtifactLimits& limits) {
  if (bytes.size() < internal::kMagic.size() ||
      !std::equal(internal::kMagic.begin(), internal::kMagic.end(), bytes.begin())) {
    return InvalidArgument("not a .haq file");
  }
  if (bytes.size() < internal::kHeaderBytes) return DataLoss("the file ends inside its header");
  const auto version = Get<uint32_t>(bytes, internal::kVersionAt);
  if (version != internal::kVersion) {
    return Unsupported("version {} of the .haq format, this build reads version {}", version,
                       internal::kVersion);
  }
  if (bytes.size() > limits.file_bytes) {
    return ResourceExhausted("{} bytes, {} is the limit", bytes.size(), limits.file_bytes);
  }
  const auto file_bytes = Get<uint64_t>(bytes, internal::kFileBytesAt);
  if (file_bytes != bytes.size()) {
    return DataLoss("{} bytes where the header says {}", bytes.size(), file_bytes);
  }
  if (Get<Sha256Digest>(bytes, internal::kDigestAt) != ArtifactDigest(bytes)) {
    return DataLoss("the checksum does not match the content");
  }
  return {};
}

}  // namespace

Result<Model> Parse(std::span<const uint8_t> bytes, std::shared_ptr<const MappedFile> file,
                    const ArtifactLimits& limits) {
  HAQ_RETURN_IF_ERROR(CheckHeader(bytes, limits));
  const auto structure_bytes = Get<uint64_t>(bytes, internal::kStructureBytesAt);
  if (structure_bytes > bytes.size() - internal::kHeaderBytes) {
    return DataLoss("a structure of {} bytes exceeds the file", structure_bytes);
  }
  const uint64_t structure_end = internal::kHeaderBytes + structure_bytes;
  const uint64_t blobs_at = internal::AlignUp(structure_end);
  if (blobs_at > bytes.size() || !AllZero(bytes.subspan(structure_end, blobs_at - structure_end)) ||
      Get<uint32_t>(bytes, internal::kReservedAt) != 0) {
    return DataLoss("reserved bytes or padding are not zero");
  }
  HAQ_ASSIGN_OR_RETURN(Model model,
                       ReadModel(bytes.subspan(internal::kHeaderBytes, structure_bytes),
                                 bytes.subspan(blobs_at), limits));
  HAQ_RETURN_IF_ERROR(Verify(model, limits));
  model.file = std::move(file);
  return model;
}

}  // namespace haq::artifact
