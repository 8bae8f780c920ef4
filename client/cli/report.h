// The report of a quantization, for people.
#pragma once

#include <string>
#include <string_view>

namespace haq::client {

// Warnings, the corrections, FP32 beside INT8 with intervals, agreement, SQNR, the layers that lose
// most and the first findings of the diagnosis; `worst_layers` of each. A report of another version
// shows what it has. Text that is no JSON is returned as it is.
std::string FormatReport(std::string_view report_json, int worst_layers = 5);

}  // namespace haq::client
