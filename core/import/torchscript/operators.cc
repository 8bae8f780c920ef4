#include "core/import/torchscript/operators.h"

#include <algorithm>
#include <set>

namespace haq::import {

namespace {

const std::set<std::string>& Queries() {
  static const std::set<std::string> kNames = {"aten::size",
                                               "aten::dim",
                                               "aten::len",
                                               "aten::numel",
                                               "aten::is_floating_point",
                                               "aten::is_complex",
                                               "aten::is_contiguous",
                                               "aten::stride",
                                               "aten::__is__",
                                               "aten::__isnot__",
                                               "aten::append",
                                               "aten::extend",
                                               "aten::insert",
                                               "aten::pop",
                                               "aten::reverse",
                                               "aten::clear",
                                               "aten::list",
                                               "aten::copy",
                                               "aten::__getitem__",
                                               "aten::_set_item",
                                               "aten::__contains__",
                                               "aten::keys",
                                               "aten::values",
                                               "aten::items",
                                               "aten::get",
                                               "aten::dict",
                                               "aten::device",
                                               "aten::get_device",
                                               "aten::_shape_as_tensor",
                                               "aten::requires_grad",
                                               "aten::_has_compatible_shallow_copy_type",
                                               "prim::device",
                                               "prim::dtype",
                                               "prim::layout",
                                               "prim::shape",
                                               "prim::is_cuda",
                                               "prim::is_quantized",
                                               "prim::is_sparse",
                                               "prim::is_mkldnn",
                                               "prim::requires_grad",
                                               "prim::TupleIndex",
                                               "prim::type",
                                               "prim::id"};
  return kNames;
}

const std::set<std::string>& Makers() {
  static const std::set<std::string> kNames = {
      "aten::zeros_like", "aten::ones_like", "aten::full_like", "aten::empty_like",
      "aten::new_zeros",  "aten::new_ones",  "aten::new_full",  "aten::new_empty"};
  return kNames;
}

const std::set<std::string>& Identities() {
  static const std::set<std::string> kNames = {"aten::dropout",
                                               "aten::dropout_",
                                               "aten::feature_dropout",
                                               "aten::feature_dropout_",
                                               "aten::alpha_dropout",
                                               "aten::alpha_dropout_",
                                               "aten::feature_alpha_dropout",
                                               "aten::feature_alpha_dropout_",
                                               "aten::native_dropout",
                                               "aten::detach",
                                               "aten::detach_",
                                               "aten::alias",
                                               "aten::clone",
                                               "aten::contiguous",
                                               "aten::to",
                                               "aten::type_as",
                                               "aten::float",
                                               "aten::cpu",
                                               "aten::cuda",
                                               "aten::requires_grad_",
                                               "aten::positive",
                                               "aten::resolve_conj",
                                               "aten::resolve_neg",
                                               "aten::lift",
                                               "aten::lift_fresh",
                                               "aten::_to_copy",
                                               "aten::lift_fresh_copy"};
  return kNames;
}

}  // namespace

Passive PassiveKind(const std::string& name) {
  if (Queries().count(name) != 0) return Passive::kQuery;
  if (Makers().count(name) != 0) return Passive::kMakesNew;
  if (Identities().count(name) != 0) return Passive::kIdentity;
  return Passive::kNo;
}

bool TakesBroadcast(const std::string& name) {
  static const std::set<std::string> kNames = {"aten::add",    "aten::add_",     "aten::sub",
                                               "aten::sub_",   "aten::mul",      "aten::mul_",
                                               "aten::expand", "aten::expand_as"};
  return kNames.count(name) != 0;
}

Status ImportIdentity(OpCall& call) {
  if (call.Bool("train", false) || call.Bool("training", false)) {
    return Unsupported("is in training mode; call eval() before saving the model");
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(call.schema().arguments()[0].name()));
  return call.Return(x);
}

const std::map<std::string, Importer>& Importers() {
  static const std::map<std::string, Importer> kImporters = [] {
    std::map<std::string, Importer> all;
    for (const ImporterTable& table :
         {LayerImporters(), ActivationImporters(), ArithmeticImporters(), PoolingImporters(),
          ShapeImporters(), SelectionImporters()}) {
      for (const auto& [name, importer] : table) all.emplace("aten::" + name, importer);
    }
    for (const std::string& name : Identities()) all.emplace(name, ImportIdentity);
    return all;
  }();
  return kImporters;
}

std::vector<float> ToFloats(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.to(at::kFloat).contiguous();
  const float* data = plain.data_ptr<float>();
  return {data, data + plain.numel()};
}

}  // namespace haq::import
