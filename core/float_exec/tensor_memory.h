// Private to this folder.
#pragma once

namespace haq::float_exec {

// While at least one of these exists, the memory of large tensors is kept for the next tensors when
// they die, instead of being returned to the system: a network makes the same tensors for every
// batch, and the system needs longer to hand out fresh pages for them than many a layer to compute
// them. For all of LibTorch in this process, on all threads; what is kept is at most as
// much as was ever in use at a time, and goes back when the last of these is destroyed.
// Thread-safe.
class KeptTensorMemory {
 public:
  KeptTensorMemory();
  ~KeptTensorMemory();
  KeptTensorMemory(const KeptTensorMemory&) = delete;
  KeptTensorMemory& operator=(const KeptTensorMemory&) = delete;
};

}  // namespace haq::float_exec
