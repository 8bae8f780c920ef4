// The checks of one layer, apart from the order of execution. For the sources of this folder.
#pragma once

#include "core/artifact/model.h"

namespace haq::artifact::internal {

// The layer's indices are valid and its tensors have been checked one by one.
Status VerifyOp(const Model& model, const Layer& layer);

}  // namespace haq::artifact::internal
