// The operators that the importer knows. Private to this folder.
#pragma once

#include <map>
#include <string>

#include "core/import/onnx/node_call.h"

namespace haq::import::from_onnx {

// Called for a node with at least one activation among its inputs. Emits what the node does and
// says what its outputs are; kUnsupported when it cannot.
using Importer = Status (*)(NodeCall& call);
using ImporterTable = std::map<std::string, Importer>;

ImporterTable LayerImporters();
ImporterTable ActivationImporters();
ImporterTable ArithmeticImporters();
ImporterTable PoolingImporters();
ImporterTable ShapeImporters();
ImporterTable SelectionImporters();
ImporterTable QuantizedImporters();

const ImporterTable& Importers();

// What importers of several files emit.

// scale[c] * x + shift[c] with constants of any shape that goes together with x's.
Result<ir::ValueId> EmitAffine(NodeCall& call, ir::ValueId x, const Tensor& scale,
                               const Tensor& shift, std::string_view part = "");
// `count` elements of `axis`; nothing when these are all.
Result<ir::ValueId> EmitSlice(NodeCall& call, ir::ValueId x, const ir::Slice& slice, int64_t count,
                              std::string_view part = "");
// reshape, permute, reshape: what moves pixels and channels about.
Result<ir::ValueId> EmitShuffle(NodeCall& call, ir::ValueId x, const ir::Shape& split,
                                std::vector<int64_t> order, const ir::Shape& output);
Result<ir::ValueId> EmitPermute(NodeCall& call, ir::ValueId x, std::vector<int64_t> order,
                                std::string_view part = "");

// import_tables.cc
// Cast, whose input are levels: indices into a table.
Status ImportIndex(NodeCall& call);
// Gather, whose second input are such indices.
Status ImportLookup(NodeCall& call);
// The value of what was looked up, whose levels are `levels`.
Result<ir::ValueId> EmitLookup(NodeCall& call, const Known& looked_up,
                               const ir::GivenQuantization::Levels& levels);

}  // namespace haq::import::from_onnx
