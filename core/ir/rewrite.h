// What the passes share. Pointers to nodes hold until nodes are added or removed.
#pragma once

#include "core/ir/graph.h"

namespace haq::ir {

// The node that makes `value` when exactly one node input reads it and it is not the graph's
// output; otherwise null.
const Node* SoleReadProducer(const Graph& graph, ValueId value);
Node* SoleReadProducer(Graph& graph, ValueId value);

// Whoever read `from` reads `to`, the graph's output included.
void ReplaceUses(Graph& graph, ValueId from, ValueId to);

// `node` makes the value that `last` made, under its own value's name; `last` makes what `node`
// made, which nothing may read.
void TakeOverOutput(Graph& graph, Node& node, Node& last);

}  // namespace haq::ir
