#include "core/import/torchscript/load.h"

#include <caffe2/serialize/read_adapter_interface.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "core/import/torchscript/archive.h"
#include "core/import/torchscript/import.h"

namespace haq::import {
namespace {

// LibTorch's own adapter for memory does not look where it reads.
class BoundedReader final : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit BoundedReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  size_t size() const override { return bytes_.size(); }
  size_t read(uint64_t position, void* buffer, size_t count, const char*) const override {
    if (position > bytes_.size()) return 0;
    count = std::min<size_t>(count, bytes_.size() - position);
    std::memcpy(buffer, bytes_.data() + position, count);
    return count;
  }

 private:
  std::span<const uint8_t> bytes_;
};

}  // namespace

std::string FirstLineOf(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string message = torch_error ? torch_error->what_without_backtrace() : error.what();
  while (!message.empty() && message.front() == '\n') message.erase(0, 1);
  return message.substr(0, message.find('\n'));
}

std::string SupportedList() {
  return fmt::format("supported are {}", fmt::join(SupportedTorchScriptOperators(), ", "));
}

namespace {

// The bytes that a tensor's sizes and strides reach have to exist; the file says all three.
Status CheckExtent(const std::string& name, const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.has_storage() || tensor.numel() == 0) return {};
  int64_t last = tensor.storage_offset();
  bool good = last >= 0;
  for (int64_t i = 0; i < tensor.dim() && good; ++i) {
    int64_t reach = 0;
    good = tensor.size(i) >= 0 && tensor.stride(i) >= 0 &&
           !__builtin_mul_overflow(tensor.size(i) - 1, tensor.stride(i), &reach) &&
           !__builtin_add_overflow(last, reach, &last);
  }
  const auto available = static_cast<int64_t>(tensor.storage().nbytes() / tensor.element_size());
  if (good && last < available) return {};
  return InvalidArgument("the archive is damaged: '{}' reaches beyond its data", name);
}

// Half and double precision weights become float.
Status PrepareParameters(torch::jit::Module& module) {
  const auto prepare = [](const std::string& name, at::Tensor tensor) -> Status {
    HAQ_RETURN_IF_ERROR(CheckExtent(name, tensor));
    if (tensor.defined() && tensor.is_floating_point() && tensor.scalar_type() != at::kFloat) {
      tensor.set_data(tensor.detach().to(at::kFloat));
    }
    return {};
  };
  for (const auto& parameter : module.named_parameters()) {
    HAQ_RETURN_IF_ERROR(prepare(parameter.name, parameter.value));
  }
  for (const auto& buffer : module.named_buffers()) {
    HAQ_RETURN_IF_ERROR(prepare(buffer.name, buffer.value));
  }
  return {};
}

}  // namespace

Result<torch::jit::Module> LoadTorchScript(std::span<const uint8_t> bytes) {
  HAQ_RETURN_IF_ERROR(CheckTorchScriptArchive(bytes));
  try {
    torch::jit::Module module =
        torch::jit::load(std::make_shared<BoundedReader>(bytes), c10::Device(c10::kCPU));
    module.eval();
    HAQ_RETURN_IF_ERROR(PrepareParameters(module));
    return module;
  } catch (const std::exception& error) {
    const std::string message = FirstLineOf(error);
    if (message.find("Unknown builtin op") != std::string::npos ||
        message.find("unknown builtin op") != std::string::npos) {
      return Unsupported("an operator that LibTorch does not know: {}; {}", message,
                         SupportedList());
    }
    return InvalidArgument("LibTorch cannot load the archive: {}", message);
  }
}

}  // namespace haq::import
