// A TorchScript archive as LibTorch's module. Private to this folder.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <cstdint>
#include <exception>
#include <span>
#include <string>

#include "core/base/status.h"

namespace haq::import {

// In evaluation mode, weights in single precision. Errors as ImportTorchScript's.
Result<torch::jit::Module> LoadTorchScript(std::span<const uint8_t> bytes);

// What LibTorch says of an error, without its backtrace.
std::string FirstLineOf(const std::exception& error);
// For messages: "supported are aten::add, ...".
std::string SupportedList();

}  // namespace haq::import
