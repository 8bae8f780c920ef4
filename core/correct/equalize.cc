#include "core/correct/equalize.h"

#include <algorithm>
#include <cmath>

#include "core/correct/pair_noise.h"

namespace haq::correct {
namespace {

// What lies beyond the largest value that calibration saw: without it, channels that were scaled
// until their largest value fills the range clip what they meet later (measured: up to 8 dB).
constexpr double kUnseenMargin = 2;
// A channel that calibration saw nothing of is taken for this part of the median channel.
constexpr double kUnseenShare = 1.0 / 64;
constexpr double kLargestLogScale = 9.3;  // log s; s up to 1e4
constexpr double kWorthwhile = 0.9;       // of the noise before
constexpr int kSweeps = 3;                // over all pairs: neighbours share a layer

bool IsDepthwise(const ir::Conv2d& conv) {
  return conv.groups > 1 && conv.groups == conv.weight.shape[0] && conv.weight.shape[1] == 1;
}

// Keeps channels apart and commutes with scaling them.
bool PassesScale(const ir::Op& op) {
  if (const auto* pad = std::get_if<ir::Pad>(&op)) {
    return pad->value == 0 && (pad->before.size() < 2 || pad->before[1] + pad->after[1] == 0);
  }
  if (const auto* clamp = std::get_if<ir::Clamp>(&op)) return clamp->low == 0;
  return std::holds_alternative<ir::MaxPool2d>(op) || std::holds_alternative<ir::AvgPool2d>(op) ||
         std::holds_alternative<ir::LeakyRelu>(op);
}

// A layer's weights as [rows, channels of the input, taps].
struct WeightView {
  ir::Constant* weight;
  std::vector<float>* bias;
  int64_t rows, columns, taps;
  bool depthwise;

  float* Row(int64_t row) const { return weight->data.data() + row * columns * taps; }
};

bool IsLinearLayer(const ir::Op& op) {
  return std::holds_alternative<ir::Conv2d>(op) || std::holds_alternative<ir::Linear>(op);
}

// `channels` of the input; features of a flattened image count as taps of their channel.
WeightView ViewOf(ir::Op& op, int64_t channels) {
  if (auto* conv = std::get_if<ir::Conv2d>(&op)) {
    const ir::Shape& shape = conv->weight.shape;
    return {&conv->weight, &conv->bias,         shape[0],
            shape[1],      shape[2] * shape[3], IsDepthwise(*conv)};
  }
  auto& linear = std::get<ir::Linear>(op);
  const int64_t features = linear.weight.shape[1];
  if (channels <= 0) channels = features;
  return {&linear.weight, &linear.bias,        linear.weight.shape[0],
          channels,       features / channels, false};
}

bool CanConsume(const ir::Op& op, int64_t channels) {
  if (const auto* conv = std::get_if<ir::Conv2d>(&op)) {
    return conv->groups == 1 || (IsDepthwise(*conv) && conv->groups == channels);
  }
  return std::holds_alternative<ir::Linear>(op);
}

double LargestMagnitude(const float* values, int64_t count) {
  double largest = 0;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(double(values[i])));
  return largest;
}

double Energy(const float* values, int64_t count) {
  double energy = 0;
  for (int64_t i = 0; i < count; ++i) energy += double(values[i]) * values[i];
  return energy;
}

class PairFinder {
 public:
  explicit PairFinder(const ir::Graph& graph) : graph_(graph), readers_(graph.values.size()) {
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      for (const ir::ValueId input : graph.nodes[i].inputs) {
        readers_[input].push_back(static_cast<int>(i));
      }
    }
  }

  std::vector<EqualizablePair> Find() {
    std::vector<EqualizablePair> pairs;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!IsLinearLayer(graph_.nodes[i].op)) continue;
      EqualizablePair pair;
      pair.producer = static_cast<int>(i);
      pair.value = graph_.nodes[i].output;
      if (Follow(graph_.nodes[i].output, pair, true)) pairs.push_back(std::move(pair));
    }
    return pairs;
  }

 private:
  // Everything that reads `value` must pass the scale on or consume it.
  bool Follow(ir::ValueId value, EqualizablePair& pair, bool may_move_value) {
    if (value == graph_.output || readers_[value].empty()) return false;
    const int64_t channels = graph_.values[graph_.nodes[pair.producer].output].shape[1];
    for (const int reader : readers_[value]) {
      const ir::Node& node = graph_.nodes[reader];
      if (CanConsume(node.op, channels)) {
        pair.consumers.push_back(reader);
        continue;
      }
      const bool flattens = std::holds_alternative<ir::Reshape>(node.op) &&
                            graph_.values[value].shape.size() == 4 &&
                            graph_.values[node.output].shape.size() == 2;
      if (!flattens && !PassesScale(node.op)) return false;
      pair.between.push_back(reader);
      const bool moves = may_move_value && readers_[value].size() == 1 &&
                         (std::holds_alternative<ir::Clamp>(node.op) ||
                          std::holds_alternative<ir::LeakyRelu>(node.op));
      if (moves) pair.value = node.output;
      if (!Follow(node.output, pair, moves)) return false;
    }
    return true;
  }

  const ir::Graph& graph_;
  std::vector<std::vector<int>> readers_;
};

// One pair with what is known of its value's channels, all at the present scale.
class Pair {
 public:
  Pair(ir::Graph& graph, const EqualizablePair& nodes, const ChannelStatistics& statistics)
      : graph_(graph), nodes_(nodes) {
    const ChannelFigures figures = *statistics.Of(nodes.value);
    const ChannelFigures input = *statistics.Of(graph.nodes[nodes.producer].inputs[0]);
    channels_ = static_cast<int64_t>(figures.mean.size());
    factor_.assign(channels_, 1.0);
    mean_square_ = figures.mean_square;
    active_ = figures.active;
    for (int64_t c = 0; c < channels_; ++c) {
      range_.push_back(kUnseenMargin * std::max(-figures.low[c], figures.high[c]));
    }
    input_mean_square_ = input.mean_square;
    AssumeUnseen();
    LimitByClamps();
  }

  // The estimate of Noise at these scales, but with the weights' errors as they really are: weights
  // may lie on levels already, and then every other scale is worse.
  double Measure(quant::WeightGranularity granularity, const std::vector<double>& log_scale) {
    const bool per_tensor = granularity == quant::WeightGranularity::kPerTensor;
    std::vector<double> energy(channels_, 0.0), scale, inverse;
    for (const int consumer : nodes_.consumers) AddEnergy(consumer, energy);
    for (const double log : log_scale) {
      scale.push_back(std::exp(log)), inverse.push_back(std::exp(-log));
    }
    PairNoise activation(channels_);
    activation.Add(ActivationStep(energy));
    double noise = activation.Evaluate(log_scale);
    if (per_tensor) {
      const WeightView producer = ViewOf(graph_.nodes[nodes_.producer].op, 0);
      const SharedStep step = ProducerStep(producer, energy);
      const int64_t size = producer.columns * producer.taps;
      noise += ErrorOfWeights(
          producer, true, [&](int64_t row, int64_t) { return scale[row]; },
          [&](int64_t row, int64_t) {
            return step.cost[row] / double(size) * inverse[row] * inverse[row];
          });
    }
    for (const int consumer : nodes_.consumers) {
      const WeightView view = ViewOf(graph_.nodes[consumer].op, channels_);
      if (view.depthwise && !per_tensor) continue;  // the scales of its rows take the factors
      const auto channel = [&](int64_t row, int64_t column) {
        return view.depthwise ? row : column;
      };
      noise += ErrorOfWeights(
          view, per_tensor,
          [&](int64_t row, int64_t column) { return inverse[channel(row, column)]; },
          [&](int64_t row, int64_t column) {
            const int64_t c = channel(row, column);
            return mean_square_[c] * scale[c] * scale[c];
          });
    }
    return noise;
  }

  PairNoise Noise(quant::WeightGranularity granularity) {
    const bool per_tensor = granularity == quant::WeightGranularity::kPerTensor;
    const WeightView producer = ViewOf(graph_.nodes[nodes_.producer].op, 0);
    std::vector<double> energy(channels_, 0.0);
    for (const int consumer : nodes_.consumers) AddEnergy(consumer, energy);

    PairNoise noise(channels_);
    noise.Add(ActivationStep(energy));
    if (per_tensor) noise.Add(ProducerStep(producer, energy));
    for (const int consumer : nodes_.consumers) {
      const WeightView view = ViewOf(graph_.nodes[consumer].op, channels_);
      if (per_tensor) {
        noise.Add(TensorStep(view));
      } else if (!view.depthwise) {
        AddRowSteps(view, noise);
      }
    }
    return noise;
  }

  void Scale(const std::vector<double>& log_scale) {
    const WeightView producer = ViewOf(graph_.nodes[nodes_.producer].op, 0);
    for (int64_t c = 0; c < channels_; ++c) {
      const double s = std::exp(log_scale[c]);
      Multiply(producer.Row(c), producer.columns * producer.taps, s);
      if (!producer.bias->empty()) Multiply(&(*producer.bias)[c], 1, s);
      for (const int consumer : nodes_.consumers) {
        const WeightView view = ViewOf(graph_.nodes[consumer].op, channels_);
        if (view.depthwise) {
          Multiply(view.Row(c), view.taps, 1 / s);
        } else {
          for (int64_t row = 0; row < view.rows; ++row) {
            Multiply(view.Row(row) + c * view.taps, view.taps, 1 / s);
          }
        }
      }
      mean_square_[c] *= s * s;
      range_[c] *= s;
      factor_[c] *= s;
    }
    for (const int node : nodes_.between) ScaleClamp(graph_.nodes[node].op, log_scale);
  }

  // What the scaling of the pair before did to the producer's input.
  void InputWasScaled(const std::vector<double>& mean_square) { input_mean_square_ = mean_square; }
  const std::vector<double>& mean_square() const { return mean_square_; }
  // The whole scaling of each channel so far.
  const std::vector<double>& factor() const { return factor_; }

 private:
  static void Multiply(float* values, int64_t count, double factor) {
    for (int64_t i = 0; i < count; ++i) values[i] = static_cast<float>(values[i] * factor);
  }

  // A channel of which nothing was seen may still appear, unless its weights are zero too.
  void AssumeUnseen() {
    const WeightView producer = ViewOf(graph_.nodes[nodes_.producer].op, 0);
    std::vector<double> sorted = range_;
    std::nth_element(sorted.begin(), sorted.begin() + channels_ / 2, sorted.end());
    const double least = kUnseenShare * sorted[channels_ / 2];
    for (int64_t c = 0; c < channels_; ++c) {
      if (range_[c] >= least) continue;
      if (LargestMagnitude(producer.Row(c), producer.columns * producer.taps) == 0) continue;
      range_[c] = least;
    }
  }

  void LimitByClamps() {
    for (const int node : nodes_.between) {
      const auto* clamp = std::get_if<ir::Clamp>(&graph_.nodes[node].op);
      if (!clamp) continue;
      for (int64_t c = 0; c < channels_; ++c) {
        const double high = clamp->channel_high.empty() ? clamp->high : clamp->channel_high[c];
        range_[c] = std::min(range_[c], high);
      }
    }
  }

  void ScaleClamp(ir::Op& op, const std::vector<double>& log_scale) const {
    auto* clamp = std::get_if<ir::Clamp>(&op);
    if (!clamp || (clamp->channel_high.empty() && std::isinf(clamp->high))) return;
    if (clamp->channel_high.empty()) clamp->channel_high.assign(channels_, clamp->high);
    for (int64_t c = 0; c < channels_; ++c) {
      clamp->channel_high[c] = static_cast<float>(clamp->channel_high[c] * std::exp(log_scale[c]));
    }
  }

  void AddEnergy(int consumer, std::vector<double>& energy) {
    const WeightView view = ViewOf(graph_.nodes[consumer].op, channels_);
    for (int64_t row = 0; row < view.rows; ++row) {
      for (int64_t c = 0; c < view.columns; ++c) {
        energy[view.depthwise ? row : c] += Energy(view.Row(row) + c * view.taps, view.taps);
      }
    }
  }

  SharedStep ActivationStep(const std::vector<double>& energy) const {
    SharedStep step{{}, energy, false, 255};
    step.magnitude.assign(range_.begin(), range_.end());
    return step;
  }

  // Sum of cost(row, column) times the square of the rounding error, in the unit of PairNoise (a
  // step of d costs d^2, of which a twelfth is the mean square of its error). Weights are taken
  // times factor(row, column); columns are channels of the input.
  template <typename Factor, typename Cost>
  static double ErrorOfWeights(const WeightView& view, bool shared, const Factor& factor,
                               const Cost& cost) {
    std::vector<double> largest(view.rows, 0.0);
    const auto for_each = [&](const auto& visit) {
      for (int64_t row = 0; row < view.rows; ++row) {
        for (int64_t column = 0; column < view.columns; ++column) {
          visit(row, column, factor(row, column), view.Row(row) + column * view.taps);
        }
      }
    };
    for_each([&](int64_t row, int64_t, double times, const float* taps) {
      largest[row] = std::max(largest[row], times * LargestMagnitude(taps, view.taps));
    });
    if (shared) std::ranges::fill(largest, *std::ranges::max_element(largest));
    double noise = 0;
    for_each([&](int64_t row, int64_t column, double times, const float* taps) {
      if (largest[row] == 0) return;
      const double step = largest[row] / 127;
      double squares = 0;
      for (int64_t tap = 0; tap < view.taps; ++tap) {
        const double weight = times * taps[tap];
        const double error = weight - step * std::nearbyint(weight / step);
        squares += error * error;
      }
      noise += 12 * squares * cost(row, column);
    });
    return noise;
  }

  // Rounding the producer's weights moves channel c by the step times the root of its input's
  // energy; where the clamp is not active that does not reach the consumers.
  SharedStep ProducerStep(const WeightView& producer, const std::vector<double>& energy) const {
    double input_energy = 0;
    for (const double square : input_mean_square_) input_energy += square;
    SharedStep step;
    for (int64_t c = 0; c < channels_; ++c) {
      const double seen = producer.depthwise ? input_mean_square_[c] : input_energy;
      step.magnitude.push_back(
          static_cast<float>(LargestMagnitude(producer.Row(c), producer.columns * producer.taps)));
      step.cost.push_back(energy[c] * active_[c] * seen * double(producer.taps));
    }
    return step;
  }

  SharedStep TensorStep(const WeightView& view) const {
    SharedStep step;
    step.rises = true;
    step.magnitude.assign(channels_, 0);
    for (int64_t row = 0; row < view.rows; ++row) {
      for (int64_t c = 0; c < view.columns; ++c) {
        float& largest = step.magnitude[view.depthwise ? row : c];
        largest = std::max(largest, static_cast<float>(LargestMagnitude(
                                        view.Row(row) + c * view.taps, view.taps)));
      }
    }
    const double rows = view.depthwise ? 1 : double(view.rows);
    for (const double square : mean_square_) step.cost.push_back(rows * view.taps * square);
    return step;
  }

  void AddRowSteps(const WeightView& view, PairNoise& noise) const {
    for (int64_t row = 0; row < view.rows; ++row) {
      SharedStep step;
      step.rises = true;
      for (int64_t c = 0; c < view.columns; ++c) {
        step.magnitude.push_back(
            static_cast<float>(LargestMagnitude(view.Row(row) + c * view.taps, view.taps)));
        step.cost.push_back(double(view.taps) * mean_square_[c]);
      }
      noise.Add(std::move(step));
    }
  }

  ir::Graph& graph_;
  const EqualizablePair& nodes_;
  int64_t channels_;
  std::vector<double> mean_square_, active_, range_, factor_, input_mean_square_;
};

EqualizedPair Describe(const ir::Graph& graph, const EqualizablePair& nodes) {
  EqualizedPair pair;
  pair.value = nodes.value;
  pair.producer = graph.nodes[nodes.producer].name;
  for (const int consumer : nodes.consumers) pair.consumers.push_back(graph.nodes[consumer].name);
  return pair;
}

}  // namespace

std::vector<EqualizablePair> FindEqualizablePairs(const ir::Graph& graph) {
  return PairFinder(graph).Find();
}

std::vector<ChannelStatistics::Wanted> EqualizeNeeds(const ir::Graph& graph) {
  std::vector<bool> wanted(graph.values.size());
  for (const EqualizablePair& pair : FindEqualizablePairs(graph)) {
    wanted[pair.value] = true;
    wanted[graph.nodes[pair.producer].inputs[0]] = true;
  }
  std::vector<ChannelStatistics::Wanted> needs;
  for (size_t value = 0; value < wanted.size(); ++value) {
    if (wanted[value]) needs.push_back({static_cast<ir::ValueId>(value), std::nullopt});
  }
  return needs;
}

Result<std::vector<EqualizedPair>> Equalize(ir::Graph& graph, const ChannelStatistics& statistics,
                                            quant::WeightGranularity granularity) {
  if (statistics.images() == 0)
    return FailedPrecondition("equalization needs statistics of images");
  const std::vector<EqualizablePair> found = FindEqualizablePairs(graph);
  std::vector<Pair> pairs;
  std::vector<int> pair_of_value(graph.values.size(), -1);
  for (const EqualizablePair& nodes : found) {
    pair_of_value[nodes.value] = static_cast<int>(pairs.size());
    pairs.emplace_back(graph, nodes, statistics);
  }
  std::vector<EqualizedPair> changed(pairs.size());
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (size_t i = 0; i < pairs.size(); ++i) {
      const int before = pair_of_value[graph.nodes[found[i].producer].inputs[0]];
      if (before >= 0) pairs[i].InputWasScaled(pairs[before].mean_square());
      const PairNoise noise = pairs[i].Noise(granularity);
      const std::vector<double> log_scale = noise.Minimize(kLargestLogScale);
      const double now = pairs[i].Measure(granularity, std::vector<double>(log_scale.size(), 0.0));
      const double then = pairs[i].Measure(granularity, log_scale);
      if (!(then < kWorthwhile * now)) continue;
      pairs[i].Scale(log_scale);
      if (changed[i].value < 0) {
        changed[i] = Describe(graph, found[i]);
        changed[i].noise_before = now;
      }
      changed[i].noise_after = then;
      const auto [least, most] = std::ranges::minmax(pairs[i].factor());
      changed[i].smallest_factor = least, changed[i].largest_factor = most;
    }
  }
  std::erase_if(changed, [](const EqualizedPair& pair) { return pair.value < 0; });
  HAQ_RETURN_IF_ERROR(ir::Verify(graph));
  return changed;
}

}  // namespace haq::correct
