// Nodes that compute constants: shapes and what is made of them, weights that are prepared in the
// graph. Private to this folder.
#pragma once

#include <map>
#include <string>

#include "core/import/onnx/node_call.h"

namespace haq::import::from_onnx {

using Folder = Status (*)(NodeCall& call);
using FolderTable = std::map<std::string, Folder>;

FolderTable ArithmeticFolders();
FolderTable ShapeFolders();
FolderTable QuantizedFolders();

// By operator. A folder is called when every input that the node has is a constant, or for Shape
// and Size, which need the shape of their input only.
const FolderTable& Folders();

}  // namespace haq::import::from_onnx
