// The graph's operators as plain loops over one sample, straight from the definitions in
// core/ir/graph.h.
#pragma once

#include <vector>

#include "core/ir/graph.h"

namespace haq::float_exec {

using Elements = std::vector<float>;

// Every value of the graph for one sample, by id.
std::vector<Elements> RunReference(const ir::Graph& graph, const Elements& input);

}  // namespace haq::float_exec
