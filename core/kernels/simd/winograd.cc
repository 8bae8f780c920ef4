#include "core/kernels/simd/winograd.h"

#include <algorithm>
#include <cstring>

#include "core/kernels/simd/channel_block.h"
#include "core/kernels/simd/conv_plan.h"

namespace haq::kernels::simd {
namespace {

// Patches whose values stay in the second level cache while every block of weights passes by.
constexpr int64_t kValueBytes = 512 << 10;
constexpr int64_t kMostTiles = 48;
constexpr int64_t kFewestTiles = 12;
constexpr int64_t kPatch = 4, kOut = 2;  // rows and columns of a patch and of its outputs

// The sizes that pack, workspace and run agree on.
struct Plan {
  Plan(const WinogradIsa& isa, const ConvShape& s)
      : block_channels(2 * isa.lanes),
        blocks(DivideUp(s.out_c, block_channels)),
        steps(DivideUp(s.in_c, 2)),
        channels(DivideUp(s.in_c, 16) * 16),
        tile_rows(DivideUp(s.out_h, kOut)),
        tile_columns(DivideUp(s.out_w, kOut)),
        chunk(std::clamp(kValueBytes / (kWinogradPositions * channels * 2), kFewestTiles,
                         kMostTiles) /
              isa.max_tiles * isa.max_tiles),
        stage_columns(tile_columns * kOut + 2) {}

  int64_t tiles() const { return tile_rows * tile_columns; }
  // One block: requantization, then [position][step][channel][2] weights.
  int64_t PositionWeights() const { return steps * block_channels * 2; }
  int64_t BlockBytes() const {
    return static_cast<int64_t>(sizeof(ChannelBlock)) +
           AlignUp64(kWinogradPositions * PositionWeights() * 2);
  }
  int64_t values() const { return kWinogradPositions * chunk * channels; }      // int16
  int64_t sums() const { return kWinogradPositions * chunk * block_channels; }  // int32
  int64_t stage_values() const { return kPatch * stage_columns * channels; }    // int16
  int64_t ValuesBytes() const { return AlignUp64(values() * 2); }
  int64_t SumsBytes() const { return AlignUp64(sums() * 4); }

  int64_t block_channels, blocks, steps;
  int64_t channels;  // of the input, with zeros up to whole vectors
  int64_t tile_rows, tile_columns;
  int64_t chunk;  // tiles that are transformed before their products
  int64_t stage_columns;
};

// 2G g 2G^T of the 3 x 3 weights w[row][column], position by position.
void TransformWeights(const int32_t (&w)[3][3], int32_t (&to)[kWinogradPositions]) {
  int32_t rows[4][3];
  for (int j = 0; j < 3; ++j) {
    rows[0][j] = 2 * w[0][j];
    rows[1][j] = w[0][j] + w[1][j] + w[2][j];
    rows[2][j] = w[0][j] - w[1][j] + w[2][j];
    rows[3][j] = 2 * w[2][j];
  }
  for (int i = 0; i < 4; ++i) {
    to[i * 4 + 0] = 2 * rows[i][0];
    to[i * 4 + 1] = rows[i][0] + rows[i][1] + rows[i][2];
    to[i * 4 + 2] = rows[i][0] - rows[i][1] + rows[i][2];
    to[i * 4 + 3] = 2 * rows[i][2];
  }
}

// `weight` [O][3][3][C]; `to` [position][step][channel in the order of the lanes][2].
void PackBlock(const WinogradIsa& isa, const Plan& plan, const ConvShape& s, const int8_t* weight,
               int64_t block, int16_t* to) {
  for (int64_t slot = 0; slot < plan.block_channels; ++slot) {
    const int64_t o =
        block * plan.block_channels + ChannelOf(2, slot / isa.lanes, slot % isa.lanes);
    for (int64_t c = 0; c < 2 * plan.steps; ++c) {
      int32_t w[3][3] = {}, transformed[kWinogradPositions];
      for (int i = 0; i < 9 && o < s.out_c && c < s.in_c; ++i) {
        w[i / 3][i % 3] = weight[(o * 9 + i) * s.in_c + c];
      }
      TransformWeights(w, transformed);
      for (int64_t p = 0; p < kWinogradPositions; ++p) {
        to[p * plan.PositionWeights() + (c / 2 * plan.block_channels + slot) * 2 + c % 2] =
            static_cast<int16_t>(transformed[p]);
      }
    }
  }
}

// One run of one part.
class Runner {
 public:
  Runner(const WinogradIsa& isa, const Plan& plan, const ConvShape& shape, const Residual& residual,
         TensorStore store, const void* packed, const uint8_t* in, uint8_t* out, void* workspace)
      : isa_(isa),
        plan_(plan),
        shape_(shape),
        residual_(residual.levels),
        store_(store),
        packed_(static_cast<const uint8_t*>(packed)),
        in_(in),
        out_(out),
        values_(static_cast<int16_t*>(workspace)),
        sums_(reinterpret_cast<int32_t*>(static_cast<uint8_t*>(workspace) + plan.ValuesBytes())),
        stage_(reinterpret_cast<int16_t*>(static_cast<uint8_t*>(workspace) + plan.ValuesBytes() +
                                          plan.SumsBytes())) {}
  Runner(const Runner&) = delete;

  void Run(Range tiles, Range blocks) {
    for (int64_t tile = tiles.begin; tile < tiles.end; tile += plan_.chunk) {
      const Range chunk{tile, std::min(tiles.end, tile + plan_.chunk)};
      TransformInput(chunk);
      for (int64_t block = blocks.begin; block < blocks.end; ++block) RunBlock(chunk, block);
    }
  }

 private:
  // The values of the chunk's patches, row of tiles by row of tiles.
  void TransformInput(Range chunk) {
    for (int64_t tile = chunk.begin; tile < chunk.end;) {
      const int64_t row = tile / plan_.tile_columns, column = tile % plan_.tile_columns;
      const int64_t count = std::min(chunk.end - tile, plan_.tile_columns - column);
      for (int64_t i = 0; i < kPatch; ++i) {
        StageRow(row * kOut + i - shape_.pad_top, column * kOut - shape_.pad_left, count * kOut + 2,
                 stage_ + i * StageStride());
      }
      for (int64_t i = 0; i < count; ++i) {
        isa_.patch({stage_ + i * kOut * plan_.channels, StageStride(), plan_.channels,
                    values_ + (tile - chunk.begin + i) * plan_.channels,
                    plan_.chunk * plan_.channels});
      }
      tile += count;
    }
  }
  int64_t StageStride() const { return plan_.stage_columns * plan_.channels; }

  // Pixels [x, x + count) of row y as int16, with the padding's level outside of the image.
  void StageRow(int64_t y, int64_t x, int64_t count, int16_t* to) const {
    const bool inside = y >= 0 && y < shape_.in_h;
    const int64_t first = inside ? std::clamp<int64_t>(-x, 0, count) : count;
    const int64_t last = std::clamp<int64_t>(shape_.in_w - x, first, count);
    for (int64_t i = 0; i < first; ++i) StagePadding(to + i * plan_.channels);
    for (int64_t i = last; i < count; ++i) StagePadding(to + i * plan_.channels);
    if (first == last) return;
    const uint8_t* from = in_ + (y * shape_.in_w + x + first) * shape_.in_c;
    to += first * plan_.channels;
    if (shape_.in_c == plan_.channels) return Copy((last - first) * shape_.in_c, from, to);
    for (int64_t i = first; i < last; ++i, from += shape_.in_c, to += plan_.channels) {
      Copy(shape_.in_c, from, to);
      std::fill(to + shape_.in_c, to + plan_.channels, int16_t{0});
    }
  }
  void StagePadding(int16_t* to) const {
    std::fill_n(to, shape_.in_c, int16_t{shape_.input_zero});
    std::fill(to + shape_.in_c, to + plan_.channels, int16_t{0});
  }
  void Copy(int64_t count, const uint8_t* from, int16_t* to) const {
    isa_.copy(count, from, reinterpret_cast<uint8_t*>(to));
  }

  void RunBlock(Range chunk, int64_t block) {
    const uint8_t* at = packed_ + block * plan_.BlockBytes();
    const auto* weights = reinterpret_cast<const int16_t*>(at + sizeof(ChannelBlock));
    const int64_t position_sums = plan_.chunk * plan_.block_channels;
    for (int64_t p = 0; p < kWinogradPositions; ++p) {
      for (int64_t tile = 0; tile < chunk.size(); tile += isa_.max_tiles) {
        const int64_t count = std::min<int64_t>(isa_.max_tiles, chunk.size() - tile);
        isa_.dots[count]({values_ + (p * plan_.chunk + tile) * plan_.channels, plan_.channels,
                          plan_.steps, weights + p * plan_.PositionWeights(),
                          sums_ + p * position_sums + tile * plan_.block_channels});
      }
    }
    for (int64_t tile = chunk.begin; tile < chunk.end; ++tile) {
      StoreTile(tile, sums_ + (tile - chunk.begin) * plan_.block_channels, position_sums, block,
                *reinterpret_cast<const ChannelBlock*>(at));
    }
  }

  void StoreTile(int64_t tile, const int32_t* sums, int64_t position_stride, int64_t block,
                 const ChannelBlock& channels) const {
    const int64_t y = tile / plan_.tile_columns * kOut, x = tile % plan_.tile_columns * kOut;
    const int64_t channel = block * plan_.block_channels, pixel = y * shape_.out_w + x;
    const int64_t out_stride = shape_.OutStride();
    isa_.store(
        {.sums = sums,
         .position_stride = position_stride,
         .channels = &channels,
         .store = &store_,
         .out = out_ + pixel * out_stride + channel,
         .out_row = shape_.out_w * out_stride,
         .out_stride = out_stride,
         .residual = residual_ == nullptr ? nullptr : residual_ + pixel * shape_.out_c + channel,
         .residual_row = int64_t{shape_.out_w} * shape_.out_c,
         .residual_stride = shape_.out_c,
         .rows = static_cast<int32_t>(std::min(kOut, shape_.out_h - y)),
         .columns = static_cast<int32_t>(std::min(kOut, shape_.out_w - x)),
         .count = static_cast<int32_t>(std::min(plan_.block_channels, shape_.out_c - channel))});
  }

  const WinogradIsa& isa_;
  const Plan& plan_;
  const ConvShape& shape_;
  const uint8_t* residual_;
  const TensorStore store_;
  const uint8_t* packed_;
  const uint8_t* in_;
  uint8_t* out_;
  int16_t* values_;
  int32_t* sums_;
  int16_t* stage_;
};

}  // namespace

bool IsWinograd(const ConvShape& s) {
  // Below 16 channels on either side the transforms cost what they save; below 4 x 4 outputs most
  // of a tile lies outside of the image.
  return s.kernel_h == 3 && s.kernel_w == 3 && s.stride_h == 1 && s.stride_w == 1 &&
         s.dilation_h == 1 && s.dilation_w == 1 && s.groups == 1 && s.in_c >= 16 &&
         s.in_c <= kMaxWinogradChannels && s.out_c >= 16 && s.out_h >= 4 && s.out_w >= 4;
}

size_t WinogradPackedBytes(const WinogradIsa& isa, const ConvShape& s) {
  const Plan plan(isa, s);
  return static_cast<size_t>(plan.blocks * plan.BlockBytes());
}

void WinogradPack(const WinogradIsa& isa, const ConvShape& s, const int8_t* weight,
                  const ChannelRequantize* channels, void* packed) {
  const Plan plan(isa, s);
  for (int64_t block = 0; block < plan.blocks; ++block) {
    uint8_t* at = static_cast<uint8_t*>(packed) + block * plan.BlockBytes();
    const int64_t o = block * plan.block_channels;
    const ChannelBlock channel_block = MakeChannelBlock(isa.lanes, 2, channels + o, s.out_c - o);
    std::memcpy(at, &channel_block, sizeof(channel_block));
    PackBlock(isa, plan, s, weight, block, reinterpret_cast<int16_t*>(at + sizeof(channel_block)));
  }
}

size_t WinogradWorkspaceBytes(const WinogradIsa& isa, const ConvShape& s) {
  const Plan plan(isa, s);
  return static_cast<size_t>(plan.ValuesBytes() + plan.SumsBytes() +
                             AlignUp64(plan.stage_values() * 2));
}

void WinogradRun(const WinogradIsa& isa, const ConvShape& s, const TensorRequantize& requantize,
                 const Residual& residual, const void* packed, const uint8_t* in, uint8_t* out,
                 void* workspace, Part part) {
  const Plan plan(isa, s);
  Range tiles{0, plan.tiles()}, blocks{0, plan.blocks};
  // Parts of the channels read only their own weights, but each transforms the whole input.
  const int64_t weight_bytes = plan.blocks * plan.BlockBytes();
  const int64_t value_bytes = plan.tiles() * kWinogradPositions * plan.channels * 2;
  if (weight_bytes > value_bytes && plan.blocks >= part.count) {
    blocks = PartOf(plan.blocks, part);
  } else {
    tiles = PartOf(plan.tiles(), part);
  }
  if (tiles.size() == 0 || blocks.size() == 0) return;
  Runner runner(isa, plan, s, residual, MakeTensorStore(requantize, residual.requantize), packed,
                in, out, workspace);
  runner.Run(tiles, blocks);
}

}  // namespace haq::kernels::simd
