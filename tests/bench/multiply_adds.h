#pragma once

#include <cstdint>

#include "core/artifact/model.h"

namespace haq::bench {

// Products that one sample needs: of convolutions and linear layers, padding included; 0 for other
// layers.
int64_t MultiplyAdds(const artifact::Model& model, const artifact::Layer& layer);
int64_t MultiplyAdds(const artifact::Model& model);

}  // namespace haq::bench
