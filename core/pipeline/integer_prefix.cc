#include "core/pipeline/integer_prefix.h"

#include <algorithm>
#include <optional>

#include "core/runtime/session.h"

namespace haq::pipeline {
namespace {

using artifact::Layer;
using artifact::Model;

// The only tensor that the layers from `layer` on read of what was made before, or nothing when
// there are several.
std::optional<int32_t> OnlyLiveTensor(const Model& model, int32_t layer) {
  std::vector<bool> made_later(model.tensors.size(), false);
  std::optional<int32_t> live;
  for (size_t i = layer; i < model.layers.size(); ++i) {
    for (const int32_t input : model.layers[i].inputs) {
      if (made_later[input]) continue;
      if (live && *live != input) return {};
      live = input;
    }
    made_later[model.layers[i].output] = true;
  }
  return made_later[model.output] ? live : std::nullopt;
}

// The layers [first, last) as a model of their own with `input` as its input. `place[t]` is where
// tensor t is in it, or -1.
Model CutOut(const Model& model, int32_t first, int32_t last, int32_t input,
             std::vector<int32_t>& place) {
  Model cut;
  place.assign(model.tensors.size(), -1);
  const auto keep = [&](int32_t tensor) {
    if (place[tensor] < 0) {
      place[tensor] = static_cast<int32_t>(cut.tensors.size());
      cut.tensors.push_back(model.tensors[tensor]);
    }
    return place[tensor];
  };
  cut.input = cut.output = keep(input);
  for (int32_t i = first; i < last; ++i) {
    Layer layer = model.layers[i];
    for (int32_t& tensor : layer.inputs) tensor = keep(tensor);
    cut.output = layer.output = keep(layer.output);
    cut.layers.push_back(std::move(layer));
  }
  const std::vector<int32_t>& stored = model.tensors[input].shape;
  cut.input_shape.assign(stored.begin(), stored.end());
  if (stored.size() == 3) cut.input_shape = {stored[2], stored[0], stored[1]};
  cut.storage = model.storage;
  return cut;
}

}  // namespace

size_t StoredBytes(const artifact::Tensor& tensor) {
  return tensor.ElementCount() * (tensor.type == artifact::DataType::kUint16 ? 2 : 1);
}

IntegerPrefix::IntegerPrefix(std::vector<uint8_t> input, int64_t images, size_t limit_bytes,
                             ThreadPool& pool)
    : images_(images), limit_bytes_(limit_bytes), pool_(pool), frontier_{0, -1, std::move(input)} {}

Status IntegerPrefix::Visit(const Model& model, int32_t layer, const std::vector<int32_t>& tensors,
                            const Visitor& visit) {
  HAQ_RETURN_IF_ERROR(Advance(model, layer));
  return Run(model, layer, tensors, visit);
}

Status IntegerPrefix::Advance(const Model& model, int32_t layer) {
  for (int32_t at = layer; at > frontier_.layer; --at) {
    const std::optional<int32_t> tensor = OnlyLiveTensor(model, at);
    // A session takes bytes; the layer may also be the input's own, moved over.
    if (!tensor || model.tensors[*tensor].type != artifact::DataType::kUint8) continue;
    const size_t size = StoredBytes(model.tensors[*tensor]);
    if (size * images_ > limit_bytes_) continue;
    std::vector<uint8_t> bytes(size * images_);
    HAQ_RETURN_IF_ERROR(
        Run(model, at, {*tensor}, [&](int64_t image, int32_t, std::span<const uint8_t> from) {
          std::copy(from.begin(), from.end(), bytes.begin() + image * size);
        }));
    frontier_ = {at, *tensor, std::move(bytes)};
    return {};
  }
  return {};
}

Status IntegerPrefix::Run(const Model& model, int32_t last, const std::vector<int32_t>& tensors,
                          const Visitor& visit) {
  const int32_t start = TensorOf(model);
  const size_t size = StoredBytes(model.tensors[start]);
  if (frontier_.bytes.size() != images_ * size) {
    return InternalError("tensor {} has {} bytes for {} images of {} bytes", start,
                         frontier_.bytes.size(), images_, size);
  }
  const auto input = [&](int64_t image) {
    return std::span<const uint8_t>(frontier_.bytes).subspan(image * size, size);
  };
  if (std::all_of(tensors.begin(), tensors.end(), [&](int32_t t) { return t == start; })) {
    pool_.ParallelFor(images_, [&](int64_t image, int) { visit(image, start, input(image)); });
    return {};
  }
  std::vector<int32_t> place;
  Model cut = CutOut(model, frontier_.layer, last, start, place);
  std::vector<int32_t> wanted(cut.tensors.size(), -1);
  for (const int32_t tensor : tensors) {
    if (place[tensor] < 0)
      return InternalError("tensor {} is not made before layer {}", tensor, last);
    wanted[place[tensor]] = tensor;
  }
  HAQ_ASSIGN_OR_RETURN(const auto loaded, runtime::LoadedModel::Create(std::move(cut)));
  std::vector<std::unique_ptr<runtime::Session>> sessions;
  for (int thread = 0; thread < pool_.threads(); ++thread) {
    HAQ_ASSIGN_OR_RETURN(auto session, runtime::Session::Create(loaded));
    sessions.push_back(std::move(session));
  }
  const size_t output_size = StoredBytes(loaded->model().tensors[loaded->model().output]);
  std::vector<std::vector<uint8_t>> outputs(sessions.size(), std::vector<uint8_t>(output_size));
  std::vector<Status> failures(images_);
  pool_.ParallelFor(images_, [&](int64_t image, int thread) {
    failures[image] = sessions[thread]->RunQuantized(
        1, input(image), outputs[thread], [&](int32_t tensor, std::span<const uint8_t> bytes) {
          if (wanted[tensor] >= 0) visit(image, wanted[tensor], bytes);
        });
  });
  for (const Status& failure : failures) HAQ_RETURN_IF_ERROR(failure);
  return {};
}

}  // namespace haq::pipeline
