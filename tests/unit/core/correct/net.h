// Small networks, random images and their integer models, for the tests of the corrections.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/calib/calibrator.h"
#include "core/ir/graph.h"
#include "core/lower/lower.h"

namespace haq::correct {

// A graph under construction; every method appends a node and returns its value.
struct Net {
  ir::Graph graph;

  explicit Net(ir::Shape input);  // starts the numbers of Normal anew
  ir::ValueId Add(ir::Op op, std::vector<ir::ValueId> inputs, const ir::Shape& declared = {});
  // Normal weights, biases around 0, 3 x 3 windows padded by 1.
  ir::ValueId Conv(ir::ValueId x, int64_t out, int64_t groups = 1, int64_t stride = 1);
  ir::ValueId Linear(ir::ValueId x, int64_t out);
  ir::Conv2d& ConvAt(int node) { return std::get<ir::Conv2d>(graph.nodes[node].op); }
};

std::vector<float> Normal(int64_t count, float deviation = 1);

// Runs n samples.
std::vector<float> RunFp32(const ir::Graph& graph, int64_t n, std::span<const float> images);
std::vector<float> RunInt8(const lower::Lowered& lowered, int64_t n, std::span<const float> images);

// Ranges of `method` from those images.
std::vector<quant::Range> RangesOf(const ir::Graph& graph, int64_t n, std::span<const float> images,
                                   const char* method = "minmax");

double SqnrDb(std::span<const float> exact, std::span<const float> rounded);

}  // namespace haq::correct
