#include "core/runtime/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "core/runtime/aligned_buffer.h"

namespace haq::runtime {
namespace {

using artifact::Model;

// A stretch of memory and the layers [first, last] during which its content is needed; -1 is the
// time of the input.
struct Block {
  size_t bytes = 0, offset = 0;
  int64_t first = 0, last = -1;
};

// The tensor whose block each tensor lives in.
std::vector<int32_t> FindRoots(const Model& model) {
  std::vector<int32_t> roots(model.tensors.size());
  std::iota(roots.begin(), roots.end(), 0);
  for (const artifact::Layer& layer : model.layers) {
    if (std::holds_alternative<artifact::Reshape>(layer.op)) {
      roots[layer.output] = roots[layer.inputs[0]];
    }
  }
  return roots;
}

std::vector<Block> FindLifetimes(const Model& model, const std::vector<int32_t>& roots) {
  std::vector<Block> blocks(model.tensors.size());
  blocks[model.input].first = -1;
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const artifact::Layer& layer = model.layers[i];
    const auto now = static_cast<int64_t>(i);
    if (roots[layer.output] == layer.output) blocks[layer.output].first = now;
    blocks[roots[layer.output]].last = now;
    for (const int32_t input : layer.inputs) blocks[roots[input]].last = now;
  }
  blocks[roots[model.output]].last = static_cast<int64_t>(model.layers.size());
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
  const size_t width = tensor.type == artifact::DataType::kUint16 ? 2 : 1;
  return static_cast<size_t>(tensor.ElementCount()) * width;
}

// Largest first, each at the lowest place that is free during its whole life.
MemoryPlan PlanMemory(const Model& model) {
  const std::vector<int32_t> roots = FindRoots(model);
  std::vector<Block> blocks = FindLifetimes(model, roots);
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
  for (const int32_t root : roots) plan.offsets.push_back(blocks[root].offset);
  return plan;
}

}  // namespace haq::runtime
