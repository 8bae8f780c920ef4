#include "core/kernels/simd/depthwise.h"

#include <cstring>
#include <vector>

#include "core/kernels/simd/channel_block.h"
#include "core/kernels/simd/conv_plan.h"

namespace haq::kernels::simd {
namespace {

struct DepthwisePlan {
  int64_t taps, slots, blocks, block_bytes;
  bool by_columns;

  DepthwisePlan(const DepthwiseIsa& isa, const ConvShape& s) {
    taps = int64_t{s.kernel_h} * s.kernel_w;
    by_columns = isa.columns && s.kernel_h == 3;
    slots = by_columns ? 4 * s.kernel_w : DivideUp(taps, isa.slot_multiple) * isa.slot_multiple;
    blocks = DivideUp(s.in_c, isa.block);
    block_bytes = AlignUp64(isa.header_bytes + slots * isa.slot_bytes);
  }
  int64_t SlotOf(const ConvShape& s, int64_t ky, int64_t kx) const {
    return by_columns ? 4 * kx + ky : ky * s.kernel_w + kx;
  }
};

// What lies where in the workspace.
struct Scratch {
  uint8_t* zero;
  const uint8_t** row;
  int64_t* row_step;
  const uint8_t** taps;

  Scratch(const ConvShape& s, void* workspace) {
    zero = static_cast<uint8_t*>(workspace);
    row = reinterpret_cast<const uint8_t**>(zero + AlignUp64(s.in_c));
    row_step = reinterpret_cast<int64_t*>(row + s.kernel_h);
    taps = reinterpret_cast<const uint8_t**>(row_step + s.kernel_h);
  }
};

}  // namespace

size_t DepthwisePackedBytes(const DepthwiseIsa& isa, const ConvShape& s) {
  const DepthwisePlan plan(isa, s);
  return static_cast<size_t>(plan.blocks * plan.block_bytes);
}

void DepthwisePack(const DepthwiseIsa& isa, const ConvShape& s, const int8_t* weight,
                   const ChannelRequantize* channels, void* packed) {
  const DepthwisePlan plan(isa, s);
  std::vector<int8_t> slots(static_cast<size_t>(plan.slots * isa.block));
  for (int64_t i = 0; i < plan.blocks; ++i) {
    uint8_t* to = static_cast<uint8_t*>(packed) + i * plan.block_bytes;
    const int64_t first = i * isa.block;
    const int64_t count = s.in_c - first < isa.block ? s.in_c - first : isa.block;
    std::memset(to, 0, static_cast<size_t>(plan.block_bytes));
    // Blocks of few channels twice, so that kernels can have two pixels side by side.
    const int64_t half = isa.block / 2, copies = count <= half ? 2 : 1;
    std::vector<ChannelRequantize> lanes(static_cast<size_t>(isa.block));
    for (int64_t c = 0; c < count * copies; ++c) {
      lanes[static_cast<size_t>(c % count + c / count * half)] = channels[first + c % count];
    }
    isa.pack_header(lanes.data(), to);
    std::memset(slots.data(), 0, slots.size());
    for (int64_t c = 0; c < count; ++c) {
      for (int64_t t = 0; t < plan.taps; ++t) {
        const int64_t slot = plan.SlotOf(s, t / s.kernel_w, t % s.kernel_w);
        for (int64_t copy = 0; copy < copies; ++copy) {
          slots[static_cast<size_t>(slot * isa.block + copy * half + c)] =
              weight[(first + c) * plan.taps + t];
        }
      }
    }
    isa.pack_weights(slots.data(), plan.slots, to + isa.header_bytes);
  }
}

size_t DepthwiseWorkspaceBytes(const DepthwiseIsa& isa, const ConvShape& s) {
  const DepthwisePlan plan(isa, s);
  return static_cast<size_t>(AlignUp64(s.in_c) + 8 * (2 * s.kernel_h + plan.slots));
}

void DepthwiseRun(const DepthwiseIsa& isa, const ConvShape& s, const TensorRequantize& requantize,
                  const Residual& residual, const void* packed, const uint8_t* in, uint8_t* out,
                  void* workspace, Part part) {
  const DepthwisePlan plan(isa, s);
  const Scratch scratch(s, workspace);
  std::memset(scratch.zero, s.input_zero, static_cast<size_t>(s.in_c));
  for (int64_t i = 0; i < plan.slots; ++i) scratch.taps[i] = scratch.zero;
  const TensorStore store = MakeTensorStore(requantize, residual.requantize);
  DepthwiseRow call{scratch.row,     scratch.row_step,
                    scratch.zero,    scratch.taps,
                    s.in_c,          s.in_w,
                    s.out_w,         s.kernel_h,
                    s.kernel_w,      s.stride_w,
                    s.dilation_w,    s.pad_left,
                    plan.by_columns, static_cast<int32_t>(plan.slots),
                    plan.blocks,     packed,
                    &store,          nullptr,
                    s.OutStride(),   nullptr};
  const Range rows = PartOf(s.out_h, part);
  for (int64_t oy = rows.begin; oy < rows.end; ++oy) {
    for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
      const int64_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
      const bool inside = y >= 0 && y < s.in_h;
      scratch.row[ky] = inside ? in + y * s.in_w * s.in_c : scratch.zero;
      scratch.row_step[ky] = inside ? s.in_c : 0;
    }
    call.out = out + oy * s.out_w * s.OutStride();
    if (residual.levels != nullptr) call.residual = residual.levels + oy * s.out_w * s.out_c;
    isa.row(call);
  }
}

}  // namespace haq::kernels::simd
