// Methods: how a tensor's range is chosen from its summary. One summary serves all of them.
//
// The range of every method but moving_minmax is a function of the multiset of values seen, bit for
// bit; moving_minmax depends on the order of the images (core/calib/moving_minmax.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/calib/range_methods.h"
#include "core/calib/tensor_summary.h"
#include "core/quant/params.h"

namespace haq::calib {

// Of core/quant/methods.h.
std::vector<std::string> MethodNames();
Status CheckMethod(std::string_view method);

// The range that `method` chooses. kInvalidArgument for an unknown method and for a tensor with
// values that were not finite, kFailedPrecondition when no value was seen.
Result<quant::Range> ChooseRange(std::string_view method, const TensorSummary& summary,
                                 const ChoiceContext& context = {});

}  // namespace haq::calib
