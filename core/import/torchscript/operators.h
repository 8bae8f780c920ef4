// The operators that the importer knows, one function each.
#pragma once

#include <map>
#include <string>

#include "core/import/torchscript/op_call.h"

namespace haq::import {

// Appends what the operator does to the graph and returns its outputs in `call`. kUnsupported says
// what about this use of it cannot be imported.
using Importer = Status (*)(OpCall& call);

// By operator name ("aten::conv2d"); every overload of a name has the same importer.
const std::map<std::string, Importer>& Importers();

// One table per family, merged by Importers(). Names without "aten::".
using ImporterTable = std::map<std::string, Importer>;
ImporterTable LayerImporters();       // convolution, linear, batch norm
ImporterTable ActivationImporters();  // one input, elementwise
ImporterTable ArithmeticImporters();  // add, mul, ... of activations and constants
ImporterTable PoolingImporters();     // pooling and means
ImporterTable ShapeImporters();       // same elements, other shape or order
ImporterTable SelectionImporters();   // slices, pads and concatenations

// How an operator that is none of the above is treated when it meets an activation.
enum class Passive {
  kNo,
  kQuery,     // reads shapes or types, or moves values in and out of containers
  kMakesNew,  // makes a constant with an activation's shape ("zeros_like")
  kIdentity,  // returns its input ("dropout" of a model in evaluation mode)
};
Passive PassiveKind(const std::string& name);
// Whether the operator broadcasts [N, C, 1, 1] over an image by itself.
bool TakesBroadcast(const std::string& name);
// The importer of every kIdentity: checks that it is one.
Status ImportIdentity(OpCall& call);

// x * scale + shift, for constants that broadcast to x without making it larger.
Result<ir::ValueId> EmitAffine(OpCall& call, ir::ValueId x, const at::Tensor& scale,
                               const at::Tensor& shift, std::string_view part = "");

// Row-major floats of a constant.
std::vector<float> ToFloats(const at::Tensor& tensor);

}  // namespace haq::import
