#include "core/calib/calibrator.h"

namespace haq::calib {

Calibrator::Calibrator(const ir::Graph& graph, std::string_view method) : graph_(graph) {
  observers_.reserve(graph.values.size());
  for (size_t i = 0; i < graph.values.size(); ++i) observers_.push_back(MakeObserver(method));
}

Status Calibrator::ObserveBatch(float_exec::Executor& executor, int64_t n,
                                std::span<const float> input) {
  HAQ_ASSIGN_OR_RETURN(const int64_t outputs, ir::ElementCount(graph_.values[graph_.output].shape));
  output_.resize(n * outputs);
  HAQ_RETURN_IF_ERROR(
      executor.Run(n, input, output_, [this](ir::ValueId value, std::span<const float> elements) {
        observers_[value]->Observe(elements);
      }));
  images_ += n;
  return {};
}

void Calibrator::Save(ByteWriter& writer) const {
  writer.Write(images_);
  writer.Write<uint64_t>(observers_.size());
  for (const auto& observer : observers_) observer->Save(writer);
}

Status Calibrator::Restore(ByteReader& reader) {
  images_ = reader.Read<int64_t>();
  if (reader.Read<uint64_t>() != observers_.size() || reader.failed()) {
    return DataLoss("the calibration state is of another network");
  }
  for (const auto& observer : observers_) HAQ_RETURN_IF_ERROR(observer->Restore(reader));
  return {};
}

Result<std::vector<quant::Range>> Calibrator::ChooseRanges() const {
  std::vector<quant::Range> ranges(graph_.values.size());
  for (size_t value = 0; value < ranges.size(); ++value) {
    const auto range = observers_[value]->ChooseRange();
    if (!range.ok()) {
      return range.status().WithContext(fmt::format("tensor \"{}\"", graph_.values[value].name));
    }
    ranges[value] = *range;
  }
  return ranges;
}

}  // namespace haq::calib
