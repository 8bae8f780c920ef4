// The figures of `haq table --plot DIR`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "client/comparison/outcome.h"
#include "core/base/status.h"

namespace haq::client {

// Writes into `folder`, which is made:
//   accuracy.png           top-1 of every model and method, and its change from FP32
//   fidelity.png           how many answers differ from FP32, and the SQNR
//   MODEL_tensors.png      the SQNR of every tensor under every method
//   MODEL_histogram.png    the values of `tensor`, and the range that each method chose
// A model without figures has no picture. `tensor` "" is the one that costs most by itself, under
// the table's reference; a tensor that no model has is kNotFound and listed. Returns the files.
Result<std::vector<std::filesystem::path>> WritePlots(const comparison::Comparison& table,
                                                      const std::filesystem::path& folder,
                                                      const std::string& tensor);

}  // namespace haq::client
