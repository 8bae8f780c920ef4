// The tensors that a job names to be kept at 16 bits, found in its graph. Private to core/pipeline.
#pragma once

#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/ir/graph.h"

namespace haq::pipeline {

// One value per name, in their order. kInvalidArgument on wide_tensors[i] for a name that no tensor
// has, with the names that are most like it.
Result<std::vector<ir::ValueId>> FindWideTensors(const ir::Graph& graph,
                                                 const std::vector<std::string>& names);

}  // namespace haq::pipeline
