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

}  // namespace haq::pipeline
