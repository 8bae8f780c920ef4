#include "core/pipeline/checkpoint.h"

#include "core/base/byte_io.h"
#include "core/base/sha256.h"

namespace haq::pipeline {
namespace {

constexpr std::string_view kMagic = "HAQCKPT3";

}  // namespace

std::vector<uint8_t> Checkpoint::Serialize() const {
  ByteWriter writer;
  writer.WriteString(kMagic);
  writer.WriteString(digest);
  writer.Write(calibration_seconds);
  writer.WriteBytes(calibrator);
  writer.WriteBytes(rounding);
  writer.WriteBytes(evaluation);
  const Sha256Digest checksum = Sha256Of(writer.bytes());
  writer.WriteBytes(checksum);
  return writer.Take();
}

Result<Checkpoint> Checkpoint::Parse(std::span<const uint8_t> bytes, const std::string& digest) {
  ByteReader reader(bytes);
  Checkpoint checkpoint;
  if (reader.ReadString() != kMagic) return DataLoss("not a checkpoint of this version");
  checkpoint.digest = reader.ReadString();
  checkpoint.calibration_seconds = reader.Read<double>();
  const auto calibrator = reader.ReadBytes(), rounding = reader.ReadBytes(),
             evaluation = reader.ReadBytes();
  const auto checksum = reader.ReadBytes();
  constexpr size_t kChecksumBytes = 8 + sizeof(Sha256Digest);
  if (reader.failed() || !reader.AtEnd() || checksum.size() != sizeof(Sha256Digest)) {
    return DataLoss("the checkpoint is truncated");
  }
  const Sha256Digest actual = Sha256Of(bytes.first(bytes.size() - kChecksumBytes));
  if (!std::equal(actual.begin(), actual.end(), checksum.begin())) {
    return DataLoss("the checkpoint is damaged");
  }
  if (checkpoint.digest != digest) return DataLoss("the checkpoint is of another job");
  checkpoint.calibrator.assign(calibrator.begin(), calibrator.end());
  checkpoint.rounding.assign(rounding.begin(), rounding.end());
  checkpoint.evaluation.assign(evaluation.begin(), evaluation.end());
  return checkpoint;
}

std::string DigestOf(const Options& options, std::span<const uint8_t> model) {
  ByteWriter writer;
  for (const std::string& text :
       {options.method, options.scheme, options.weights, options.preset, options.preprocess_json}) {
    writer.WriteString(text);
  }
  const quant::Corrections corrections = Resolve(options);
  for (const bool on : {corrections.bias_correction, corrections.equalize, corrections.adaround}) {
    writer.Write(on);
  }
  writer.Write(options.wide_count);
  writer.Write<uint64_t>(options.wide_tensors.size());
  for (const std::string& name : options.wide_tensors) writer.WriteString(name);
  for (const int64_t dimension : options.input_shape) writer.Write(dimension);
  writer.Write(options.limit_calibration);
  writer.Write(options.limit_evaluation);
  writer.WriteBytes(Sha256Of(model));
  return ToHex(Sha256Of(writer.bytes()));
}

}  // namespace haq::pipeline
