#include "core/calib/calibrator.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace haq::calib {
namespace {

bool LeavesOut(const ir::Op& op) {
  return std::holds_alternative<ir::Clamp>(op) || std::holds_alternative<ir::MaxPool2d>(op);
}

bool Keeps(const ir::Op& op) {
  if (const auto* pad = std::get_if<ir::Pad>(&op)) return pad->value == 0;
  return std::holds_alternative<ir::Reshape>(op) || std::holds_alternative<ir::Permute>(op);
}

}  // namespace

std::vector<ir::ValueId> DecidingValues(const ir::Graph& graph) {
  std::vector<ir::ValueId> deciding(graph.values.size());
  std::iota(deciding.begin(), deciding.end(), 0);
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const ir::ValueId in = node->inputs[0], out = node->output;
    const bool decided_later = Keeps(node->op) && deciding[out] != out;
    if ((LeavesOut(node->op) || decided_later) && graph.UseCount(in) == 1) {
      deciding[in] = deciding[out];
    }
  }
  for (const ir::Node& node : graph.nodes) {
    const ir::ValueId in = node.inputs[0], out = node.output;
    if (Keeps(node.op) && deciding[out] == out) deciding[out] = deciding[in];
  }
  return deciding;
}

int64_t MicroBatchImages(int64_t input_elements) {
  constexpr int64_t kElements = 1'500'000;
  const int64_t fit = std::clamp<int64_t>(kElements / input_elements, 4, 64);
  return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(fit)));
}

Calibrator::Calibrator(const ir::Graph& graph, std::string_view method)
    : graph_(graph),
      method_(method),
      deciding_(DecidingValues(graph)),
      needs_{std::vector<bool>(graph.values.size()), true},
      summaries_(graph.values.size()) {
  for (const ir::ValueId value : deciding_) needs_.values[value] = true;
}

Status Calibrator::ObserveBatch(float_exec::Executor& executor, int64_t n,
                                std::span<const float> input) {
  HAQ_ASSIGN_OR_RETURN(const int64_t elements, ir::ElementCount(graph_.values[graph_.input].shape));
  if (n < 1 || input.size() != static_cast<size_t>(n * elements)) {
    return InvalidArgument("{} samples need {} elements each, got {}", n, elements, input.size());
  }
  const int64_t most = MicroBatchImages(elements);
  for (int64_t at = 0; at < n; at += most) {
    const int64_t count = std::min(most, n - at);
    HAQ_RETURN_IF_ERROR(
        ObserveMicroBatch(executor, count, input.subspan(at * elements, count * elements)));
    images_ += count;
  }
  return CheckFinite();
}

Status Calibrator::CheckFinite() const {
  const auto check = [this](ir::ValueId value) -> Status {
    if (!needs_.values[value] || summaries_[value].not_finite() == 0) return {};
    return summaries_[value].Check().WithContext(ir::DescribeValue(graph_, value));
  };
  HAQ_RETURN_IF_ERROR(check(graph_.input));
  for (const ir::Node& node : graph_.nodes) HAQ_RETURN_IF_ERROR(check(node.output));
  return {};
}

Status Calibrator::ObserveMicroBatch(float_exec::Executor& executor, int64_t n,
                                     std::span<const float> input) {
  HAQ_ASSIGN_OR_RETURN(const int64_t outputs, ir::ElementCount(graph_.values[graph_.output].shape));
  const int64_t elements = static_cast<int64_t>(input.size()) / n;
  const int64_t images = MicroBatchImages(elements);
  output_.resize(images * outputs);
  if (n < images) {
    padded_.assign(images * elements, 0);
    std::copy(input.begin(), input.end(), padded_.begin());
    input = padded_;
  }
  const Parallel parallel{executor.threads(), [&](int64_t count, const auto& body) {
                            executor.ParallelFor(count, body);
                          }};
  return executor.Run(
      images, input, output_,
      [&](ir::ValueId value, std::span<const float> values) {
        summaries_[value].Observe(values.first(values.size() / images * n), n, scratch_, parallel);
      },
      needs_);
}

Status Calibrator::Merge(const Calibrator& later) {
  if (needs_.values != later.needs_.values) {
    return InvalidArgument("calibrations of different networks cannot be merged");
  }
  for (size_t value = 0; value < summaries_.size(); ++value) {
    summaries_[value].Merge(later.summaries_[value]);
  }
  images_ += later.images_;
  return {};
}

void Calibrator::Save(ByteWriter& writer) const {
  writer.Write(images_);
  writer.Write<uint64_t>(summaries_.size());
  for (size_t value = 0; value < summaries_.size(); ++value) {
    if (needs_.values[value]) summaries_[value].Save(writer);
  }
}

Status Calibrator::Restore(ByteReader& reader) {
  images_ = reader.Read<int64_t>();
  if (reader.Read<uint64_t>() != summaries_.size() || reader.failed() || images_ < 0) {
    return DataLoss("the calibration state is of another network");
  }
  for (size_t value = 0; value < summaries_.size(); ++value) {
    if (needs_.values[value]) {
      HAQ_RETURN_IF_ERROR(summaries_[value].Restore(reader).WithContext(
          fmt::format("tensor \"{}\"", graph_.values[value].name)));
    }
  }
  return {};
}

Result<std::vector<quant::Range>> Calibrator::ChooseRanges(const ChoiceContext& context) const {
  return ChooseRanges(method_, context);
}

Result<std::vector<quant::Range>> Calibrator::ChooseRanges(std::string_view method,
                                                           const ChoiceContext& context) const {
  std::vector<quant::Range> ranges(graph_.values.size());
  for (size_t value = 0; value < ranges.size(); ++value) {
    if (!needs_.values[value]) continue;
    const auto range = ChooseRange(method, summaries_[value], context);
    if (!range.ok()) {
      return range.status().WithContext(ir::DescribeValue(graph_, static_cast<ir::ValueId>(value)));
    }
    ranges[value] = *range;
  }
  for (size_t value = 0; value < ranges.size(); ++value) ranges[value] = ranges[deciding_[value]];
  return ranges;
}

}  // namespace haq::calib
