// TorchScript modules written in the test, and their import held against LibTorch itself.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>
#include <utility>
#include <vector>

#include "core/import/torchscript/import.h"
#include "core/ir/graph.h"

namespace haq::import {

// A module with those buffers (random, in [0.5, 1.5] so that they can be variances and divisors,
// signs alternating for names that start with "w") and `source`: one or more methods, forward among
// them.
torch::jit::Module MakeModule(
    const std::string& source,
    const std::vector<std::pair<std::string, std::vector<int64_t>>>& buffers = {});

std::vector<uint8_t> Save(const torch::jit::Module& module);
Result<ir::Graph> Import(const torch::jit::Module& module, const std::vector<int64_t>& input_shape);

// Imports, runs the graph on random batches of 1 and 3 and compares with the module's own forward,
// sample by sample, to 1e-4 of the largest output. Returns the operators of the graph in order,
// "conv2d clamp"; "" after a failure, which is reported.
std::string ImportAndCompare(const torch::jit::Module& module,
                             const std::vector<int64_t>& input_shape);

// "conv2d clamp add"
std::string Kinds(const ir::Graph& graph);

}  // namespace haq::import
