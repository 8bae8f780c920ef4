#include "core/pipeline/calibration_check.h"

#include <algorithm>
#include <set>

namespace haq::pipeline {
namespace {

constexpr size_t kNamedTensors = 5;

std::vector<std::string> ConstantTensors(const ir::Graph& graph,
                                         const calib::Calibrator& calibrator,
                                         const lower::Lowered& lowered) {
  std::vector<std::string> warnings;
  // Tensors that only move values share a summary; the first of them stands for all.
  std::set<const calib::TensorSummary*> seen;
  for (const lower::TensorDecision& decision : lowered.decisions) {
    const calib::TensorSummary& summary = calibrator.SummaryOf(decision.value);
    if (summary.low() != summary.high() || !seen.insert(&summary).second) continue;
    warnings.push_back(fmt::format("{}: had no value but {} in calibration",
                                   ir::DescribeValue(graph, decision.value), summary.low()));
  }
  if (warnings.size() > kNamedTensors) {
    const size_t more = warnings.size() - kNamedTensors;
    warnings.resize(kNamedTensors);
    warnings.push_back(fmt::format("{} more tensors had one value only in calibration", more));
  }
  return warnings;
}

}  // namespace

void ImageVariety::Add(int64_t n, std::span<const float> input) {
  const size_t elements = input.size() / n;
  for (int64_t i = 0; i < n && !varied_; ++i) {
    const auto image = input.subspan(i * elements, elements);
    const Sha256Digest digest =
        Sha256Of({reinterpret_cast<const uint8_t*>(image.data()), image.size_bytes()});
    if (!seen_) first_ = digest;
    varied_ = seen_ && digest != first_;
    seen_ = true;
  }
}

void ImageVariety::Save(ByteWriter& writer) const {
  writer.Write(seen_);
  writer.Write(varied_);
  writer.WriteBytes(first_);
}

void ImageVariety::Restore(ByteReader& reader) {
  seen_ = reader.Read<uint8_t>() != 0;
  varied_ = reader.Read<uint8_t>() != 0;
  const auto digest = reader.ReadBytes();
  if (digest.size() == first_.size()) std::copy(digest.begin(), digest.end(), first_.begin());
}

std::vector<std::string> CalibrationWarnings(const ir::Graph& graph,
                                             const calib::Calibrator& calibrator,
                                             const lower::Lowered& lowered,
                                             const ImageVariety& variety) {
  std::vector<std::string> warnings;
  const int64_t images = calibrator.images();
  if (images < kFewCalibrationImages) {
    warnings.push_back(fmt::format(
        "calibration_dataset: ranges are chosen from {} {} only, and values beyond them are cut "
        "off; 100 or more are usual",
        images, images == 1 ? "image" : "images"));
  }
  if (images > 1 && variety.all_the_same()) {
    warnings.push_back(
        fmt::format("calibration_dataset: its {} images are all the same to the network", images));
  }
  for (std::string& warning : ConstantTensors(graph, calibrator, lowered)) {
    warnings.push_back(std::move(warning));
  }
  return warnings;
}

}  // namespace haq::pipeline
