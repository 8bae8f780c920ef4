#include "core/runtime/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "core/runtime/aligned_buffer.h"

namespace haq::runtime {
namespace {

using artifact::Layer;
using artifact::Model;

// A stretch of memory and the layers [first, last] during which its content is needed; -1 is the
// time of the input.
struct Block {
  size_t bytes = 0, offset = 0;
  int64_t first = 0, last = -1;
};

// The tensor whose block each tensor lives in, and its place there.
struct Homes {
  std::vector<int32_t> roots;
  std::vector<size_t> inner, pixel_bytes;
};

// Layers that read each tensor, the model's reader of its output included.
std::vector<int> CountReaders(const Model& model) {
  std::vector<int> readers(model.tensors.size());
  for (const Layer& layer : model.layers) {
    for (const int32_t input : layer.inputs) ++readers[input];
  }
  ++readers[model.output];
  return readers;
}

// The last layer that reads each tensor; nullptr for the model's output, which is read after all.
std::vector<const Layer*> FindLastReaders(const Model& model) {
  std::vector<const Layer*> last(model.tensors.size());
  for (const Layer& layer : model.layers) {
    for (const int32_t input : layer.inputs) last[input] = &layer;
  }
  last[model.output] = nullptr;
  return last;
}

// Whether nobody needs the residual of a convolution when its output is written, under that name.
bool ReplacesResidual(const Layer& layer, const std::vector<const Layer*>& last_readers) {
  return layer.inputs.size() == 2 && layer.inputs[0] != layer.inputs[1] &&
         last_readers[layer.inputs[1]] == &layer;
}

Homes FindHomes(const Model& model) {
  const size_t count = model.tensors.size();
  Homes homes{std::vector<int32_t>(count), std::vector<size_t>(count), std::vector<size_t>(count)};
  std::iota(homes.roots.begin(), homes.roots.end(), 0);
  const std::vector<int> readers = CountReaders(model);
  const std::vector<const Layer*> last_readers = FindLastReaders(model);
  std::vector<bool> convolved(count), reshaped(count);  // reshaped: by root
  for (const Layer& layer : model.layers) {
    convolved[layer.output] = std::holds_alternative<artifact::Conv2d>(layer.op);
    if (std::holds_alternative<artifact::Reshape>(layer.op)) {
      homes.roots[layer.output] = homes.roots[layer.inputs[0]];
      reshaped[homes.roots[layer.output]] = true;
    }
    if (convolved[layer.output] && ReplacesResidual(layer, last_readers) &&
        !reshaped[homes.roots[layer.inputs[1]]]) {
      homes.roots[layer.output] = homes.roots[layer.inputs[1]];
    }
    const auto* concat = std::get_if<artifact::Concat>(&layer.op);
    const std::vector<int32_t>& shape = model.tensors[layer.output].shape;
    if (concat == nullptr || shape.size() != 3 || concat->axis != 2) continue;
    size_t channel = 0;
    for (const int32_t input : layer.inputs) {
      if (convolved[input] && readers[input] == 1) {
        homes.roots[input] = layer.output;
        homes.inner[input] = channel;
        homes.pixel_bytes[input] = static_cast<size_t>(shape[2]);
      }
      channel += static_cast<size_t>(model.tensors[input].shape[2]);
    }
  }
  return homes;
}

std::vector<Block> FindLifetimes(const Model& model, const std::vector<int32_t>& roots) {
  std::vector<Block> blocks(model.tensors.size());
  const auto end = static_cast<int64_t>(model.layers.size());
  for (Block& block : blocks) block.first = end;
  blocks[model.input].first = -1;
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const Layer& layer = model.layers[i];
    const auto now = static_cast<int64_t>(i);
    Block& output = blocks[roots[layer.output]];
    output.first = std::min(output.first, now);
    output.last = now;
    for (const int32_t input : layer.inputs) blocks[roots[input]].last = now;
  }
  blocks[roots[model.output]].last = end;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (roots[i] == static_cast<int32_t>(i)) {
      blocks[i].bytes = AlignUp(SampleBytes(model.tensors[i]));
    }
  }
  return blocks;
}

// The lowest offset with room among the blocks placed so far, which are sorted by offset.
size_t FirstFit(const Block& block, const std::vector<const Block*>& placed) {
  size_t offset = 0;
  for (const Block* other : placed) {
    if (other->last < block.first || block.last < other->first) continue;
    if (offset + block.bytes <= other->offset) break;
    offset = std::max(offset, other->offset + other->bytes);
  }
  return offset;
}

}  // namespace

size_t SampleBytes(const artifact::Tensor& tensor) {
  return static_cast<size_t>(tensor.ElementCount() * artifact::LevelBytes(tensor.type));
}

// Largest first, each at the lowest place that is free during its whole life.
MemoryPlan PlanMemory(const Model& model) {
  const Homes homes = FindHomes(model);
  std::vector<Block> blocks = FindLifetimes(model, homes.roots);
  std::vector<size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });

  MemoryPlan plan;
  std::vector<const Block*> placed;
  for (const size_t i : order) {
    Block& block = blocks[i];
    if (block.bytes == 0) continue;
    block.offset = FirstFit(block, placed);
    plan.arena_bytes = std::max(plan.arena_bytes, block.offset + block.bytes);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), &block,
                         [](const Block* a, const Block* b) { return a->offset < b->offset; }),
        &block);
  }
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const int32_t root = homes.roots[i];
    const bool inside = homes.pixel_bytes[i] != 0;
    plan.places.push_back({blocks[root].offset, SampleBytes(model.tensors[inside ? root : i]),
                           homes.inner[i], homes.pixel_bytes[i]});
  }
  return plan;
}

}  // namespace haq::runtime
