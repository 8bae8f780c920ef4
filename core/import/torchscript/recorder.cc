#include "core/import/torchscript/recorder.h"

#include <ATen/core/Dict.h>

namespace haq::import {

ir::Shape ShapeOf(const at::Tensor& tensor) { return tensor.sizes().vec(); }

void Recorder::Track(const at::Tensor& shadow, ir::ValueId value, bool in_place) {
  if (in_place && shadow.has_storage()) {
    for (auto& [identity, other] : tracked_) {
      if (identity != shadow.unsafeGetTensorImpl() && other.shadow.has_storage() &&
          other.shadow.storage().is_alias_of(shadow.storage())) {
        other.stale = true;
      }
    }
  }
  tracked_.insert_or_assign(shadow.unsafeGetTensorImpl(), Tracked{shadow, value});
}

const Recorder::Tracked* Recorder::Find(const at::Tensor& tensor) const {
  const auto found = tracked_.find(tensor.unsafeGetTensorImpl());
  return found == tracked_.end() ? nullptr : &found->second;
}

bool Recorder::Contains(const c10::IValue& value) const {
  if (value.isTensor()) return Find(value.toTensor()) != nullptr;
  if (value.isTensorList() || value.isList()) {
    for (const c10::IValue& item : value.toListRef()) {
      if (Contains(item)) return true;
    }
  } else if (value.isTuple()) {
    for (const c10::IValue& item : value.toTupleRef().elements()) {
      if (Contains(item)) return true;
    }
  } else if (value.isGenericDict()) {
    for (const auto& item : value.toGenericDict()) {
      if (Contains(item.value())) return true;
    }
  }
  return false;
}

std::string Recorder::UniqueName(const std::string& wanted) {
  std::string name = wanted;
  for (int i = 2; !names_.insert(name).second; ++i) name = wanted + "_" + std::to_string(i);
  return name;
}

void Recorder::Sweep() {
  for (auto entry = tracked_.begin(); entry != tracked_.end();) {
    entry = entry->second.shadow.use_count() == 1 ? tracked_.erase(entry) : std::next(entry);
  }
}

}  // namespace haq::import
