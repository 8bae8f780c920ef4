// 8-bit pixels enter the integer network as they are, where one scale fits all channels.
//
// Preprocessing makes of a pixel p the value x_c = step p + offset_c. Levels of the same step lie
// beside these values by up to half a step, since a level has to be real zero: x / 127.5 - 1 has
// the values (p - 127.5) / 127.5, just between two levels. With the zero point z,
//     x_c + shift_c = step (p - z),    shift_c = - step z - offset_c,
// is exact. Shifting the input and taking the shift back in the biases of the layers that read it
// leaves the network's function as it is, but where a window reads padding, which is zero on both
// sides; and then quantizing the input costs nothing.
#pragma once

#include <optional>
#include <vector>

#include "core/ir/graph.h"
#include "core/quant/params.h"

namespace haq::correct {

// x_c = step[c] * p + offset[c], p in [0, 255].
struct PixelGrid {
  std::vector<double> step, offset;
};

struct InputShift {
  quant::Range range;         // of the shifted input: from level 0 to level 255
  std::vector<double> shift;  // by channel, at most half a step
};

// Nothing where the channels' steps differ, where an offset is further than half a step from a
// level, or where something else than convolutions reads the input.
std::optional<InputShift> FindInputShift(const ir::Graph& graph, const PixelGrid& pixels);

// The graph that gives for x + shift what `graph` gives for x.
void ShiftInput(ir::Graph& graph, const InputShift& shift);

}  // namespace haq::correct
