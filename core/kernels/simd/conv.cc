#include "core/kernels/simd/conv.h"

#include <algorithm>
#include <cstring>

#include "core/kernels/simd/channel_block.h"
#include "core/kernels/simd/conv_plan.h"

namespace haq::kernels::simd {
namespace {

// The weight that channel `o` of the group has for value `i` of segment `segment`; 0 in the rest of
// the last step.
int8_t WeightAt(const ConvPlan& plan, const int8_t* group_weight, int64_t o, int64_t segment,
                int64_t i) {
  if (o >= plan.outputs || i >= plan.segment_values) return 0;
  return group_weight[(o * plan.segments + segment) * plan.segment_values + i];
}

template <typename Value>
void PackBlock(const TileIsa& isa, const ConvPlan& plan, const int8_t* group_weight, int64_t block,
               Value* to) {
  const int64_t vectors = plan.BlockVectors(block);
  for (int64_t segment = 0; segment < plan.segments; ++segment) {
    for (int64_t step = 0; step < plan.steps; ++step) {
      for (int64_t v = 0; v < vectors; ++v) {
        for (int64_t lane = 0; lane < isa.lanes; ++lane) {
          const int64_t o = block * 2 * isa.lanes + ChannelOf(vectors, v, lane);
          for (int64_t j = 0; j < isa.step; ++j) {
            *to++ = WeightAt(plan, group_weight, o, segment, step * isa.step + j);
          }
        }
      }
    }
  }
}

// One run of one part.
class ConvRunner {
 public:
  ConvRunner(const TileIsa& isa, const ConvPlan& plan, const Residual& residual, const void* packed,
             const uint8_t* in, uint8_t* out, void* workspace, TensorStore store)
      : isa_(isa),
        plan_(plan),
        packed_(static_cast<const uint8_t*>(packed)),
        in_(in),
        out_(out),
        residual_(residual.levels),
        segment_(static_cast<int64_t*>(workspace)),
        stage_(static_cast<uint8_t*>(workspace) + AlignUp64(sizeof(int64_t) * plan.segments)),
        store_(store) {
    for (int64_t i = 0; i < plan.segments; ++i) segment_[i] = plan.SegmentOffset(i);
    call_.pixel_stride = plan.pixel_stride;
    call_.segment = segment_;
    call_.segments = plan.segments;
    call_.steps = plan.steps;
    call_.store = &store_;
    call_.out_stride = plan.shape.OutStride();
    call_.residual_stride = plan.shape.out_c;
    call_.residual = nullptr;
  }
  ConvRunner(const ConvRunner&) = delete;

  // Tiles [tiles.begin, tiles.end) of a row where the image is one row, all of the rows otherwise.
  void Run(int64_t group, Range rows, Range tiles, Range blocks) {
    group_ = group;
    for (int64_t row = rows.begin; row < rows.end; row += plan_.strip_rows) {
      const Range strip{row, std::min(rows.end, row + plan_.strip_rows)};
      const uint8_t* first = plan_.staged ? Stage(strip) : InPlace(row);
      for (int64_t block = blocks.begin; block < blocks.end; block += plan_.blocks_per_pass) {
        RunPass(first, strip, tiles, {block, std::min(blocks.end, block + plan_.blocks_per_pass)});
      }
    }
  }

 private:
  const uint8_t* InPlace(int64_t row) const {
    return in_ + row * plan_.shape.stride_h * plan_.row_stride + group_ * plan_.depth;
  }

  // Copies what the output rows of the strip read, padding included, to the workspace.
  const uint8_t* Stage(Range strip) {
    const ConvShape& s = plan_.shape;
    const int64_t y0 = strip.begin * s.stride_h - s.pad_top;
    uint8_t* to = stage_;
    for (int64_t i = 0; i < plan_.StageRows(strip.size()); ++i, to += plan_.row_stride) {
      StageRow(y0 + i, to);
    }
    return stage_;
  }

  void StageRow(int64_t y, uint8_t* to) const {
    const ConvShape& s = plan_.shape;
    const int64_t depth = plan_.depth, value = isa_.value_bytes;
    if (y < 0 || y >= s.in_h) return isa_.fill(plan_.stage_row, s.input_zero, to);
    // Columns [first, last) of the staged row lie in the image.
    const int64_t first = std::min<int64_t>(s.pad_left, plan_.stage_columns);
    const int64_t last = std::clamp<int64_t>(s.in_w + s.pad_left, first, plan_.stage_columns);
    const uint8_t* from = in_ + y * s.in_w * s.in_c + group_ * depth;
    isa_.fill(first * depth, s.input_zero, to);
    if (s.groups == 1) {
      isa_.copy((last - first) * depth, from, to + first * depth * value);
    } else {
      for (int64_t x = first; x < last; ++x) {
        isa_.copy(depth, from + (x - first) * s.in_c, to + x * depth * value);
      }
    }
    isa_.fill((plan_.stage_columns - last) * depth, s.input_zero, to + last * depth * value);
  }

  // All tiles of a strip with a few blocks of weights. `first` is the strip's first input row.
  void RunPass(const uint8_t* first, Range strip, Range tiles, Range blocks) {
    const int64_t step = plan_.two_rows ? 2 : 1;
    for (int64_t row = strip.begin; row < strip.end; row += step) {
      const uint8_t* line = first + (row - strip.begin) * plan_.shape.stride_h * plan_.row_stride;
      if (plan_.two_rows) {
        RunRows(line, row, std::min(step, strip.end - row), blocks);
      } else {
        for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) RunTile(line, row, tile, blocks);
      }
    }
  }

  // One or two whole rows as one tile.
  void RunRows(const uint8_t* line, int64_t row, int64_t rows, Range blocks) {
    const int64_t width = plan_.shape.out_w;
    call_.first = line;
    call_.second = rows == 2 ? line + plan_.shape.stride_h * plan_.row_stride
                             : line + (width + 1) / 2 * plan_.pixel_stride;
    RunBlocks(row * width, rows * width, blocks);
  }

  void RunTile(const uint8_t* line, int64_t row, int64_t tile, Range blocks) {
    const int64_t width = plan_.shape.out_w;
    const Range pixels{width * tile / plan_.row_tiles, width * (tile + 1) / plan_.row_tiles};
    call_.first = line + pixels.begin * plan_.pixel_stride;
    call_.second = call_.first + (pixels.size() + 1) / 2 * plan_.pixel_stride;
    RunBlocks(row * width + pixels.begin, pixels.size(), blocks);
  }

  void RunBlocks(int64_t pixel, int64_t pixels, Range blocks) {
    const int64_t block_channels = 2 * isa_.lanes;
    const uint8_t* packed = packed_ + group_ * plan_.GroupBytes();
    for (int64_t block = blocks.begin; block < blocks.end; ++block) {
      const uint8_t* at = packed + plan_.BlockOffset(block);
      const int64_t o = block * block_channels, channel = group_ * plan_.outputs + o;
      call_.channels = reinterpret_cast<const ChannelBlock*>(at);
      call_.weights = at + sizeof(ChannelBlock);
      call_.count = static_cast<int32_t>(std::min(block_channels, plan_.outputs - o));
      call_.out = out_ + pixel * call_.out_stride + channel;
      if (residual_ != nullptr) {
        call_.residual = residual_ + pixel * call_.residual_stride + channel;
      }
      isa_.tile[plan_.BlockVectors(block) - 1][pixels](call_);
    }
  }

  const TileIsa& isa_;
  const ConvPlan& plan_;
  const uint8_t* packed_;
  const uint8_t* in_;
  uint8_t* out_;
  const uint8_t* residual_;
  int64_t* segment_;
  uint8_t* stage_;
  TensorStore store_;
  TileCall call_{};
  int64_t group_ = 0;
};

// How large the largest part of `count` things is, against a perfect split.
double Imbalance(int64_t count, int64_t parts) {
  return static_cast<double>(DivideUp(count, parts) * parts) / static_cast<double>(count);
}

}  // namespace

size_t ConvPackedBytes(const TileIsa& isa, const ConvShape& s) {
  return static_cast<size_t>(ConvPlan(isa, s).GroupBytes() * s.groups);
}

void ConvPack(const TileIsa& isa, const ConvShape& s, const int8_t* weight,
              const ChannelRequantize* channels, void* packed) {
  const ConvPlan plan(isa, s);
  for (int64_t group = 0; group < s.groups; ++group) {
    const int64_t first = group * plan.outputs;
    const int8_t* group_weight = weight + first * plan.segments * plan.segment_values;
    for (int64_t block = 0; block < plan.blocks; ++block) {
      uint8_t* at =
          static_cast<uint8_t*>(packed) + group * plan.GroupBytes() + plan.BlockOffset(block);
      const int64_t o = block * 2 * isa.lanes;
      const ChannelBlock channel_block = MakeChannelBlock(isa.lanes, plan.BlockVectors(block),
                                                          channels + first + o, plan.outputs - o);
      std::memcpy(at, &channel_block, sizeof(channel_block));
      at += sizeof(channel_block);
      if (isa.value_bytes == 1) {
        PackBlock(isa, plan, group_weight, block, reinterpret_cast<int8_t*>(at));
      } else {
        PackBlock(isa, plan, group_weight, block, reinterpret_cast<int16_t*>(at));
      }
    }
  }
}

size_t ConvWorkspaceBytes(const TileIsa& isa, const ConvShape& s) {
  const ConvPlan plan(isa, s);
  const auto segments = static_cast<int64_t>(sizeof(int64_t)) * plan.segments;
  return static_cast<size_t>(AlignUp64(segments) + (plan.staged ? plan.stage_bytes : 0));
}

void ConvRun(const TileIsa& isa, const ConvShape& s, const TensorRequantize& requantize,
             const Residual& residual, const void* packed, const uint8_t* in, uint8_t* out,
             void* workspace, Part part) {
  const ConvPlan plan(isa, s);
  ConvRunner runner(isa, plan, residual, packed, in, out, workspace,
                    MakeTensorStore(requantize, residual.requantize));
  const bool one_row = plan.shape.out_h == 1;
  const int64_t row_step = plan.two_rows ? 2 : 1;
  Range rows{0, plan.shape.out_h}, tiles{0, plan.row_tiles}, blocks{0, plan.blocks};
  // Parts of the channels read only their own weights, so they come first where both are balanced
  // and the weights are the larger half of the traffic.
  const int64_t spots = one_row ? plan.row_tiles : DivideUp(plan.shape.out_h, row_step);
  const int64_t input_bytes = int64_t{s.in_h} * s.in_w * s.in_c;
  const double prefer_rows = plan.GroupBytes() > input_bytes ? 1.05 : 0.95;
  if (Imbalance(plan.blocks, part.count) <= Imbalance(spots, part.count) * prefer_rows) {
    blocks = PartOf(plan.blocks, part);
  } else if (one_row) {
    tiles = PartOf(plan.row_tiles, part);
  } else {
    const Range steps = PartOf(spots, part);
    rows = {steps.begin * row_step, std::min(steps.end * row_step, rows.end)};
  }
  if (blocks.size() == 0 || tiles.size() == 0) return;
  for (int64_t group = 0; group < s.groups; ++group) runner.Run(group, rows, tiles, blocks);
}

}  // namespace haq::kernels::simd
