#include "core/eval/accuracy.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace haq::eval {

int64_t ArgMax(std::span<const float> scores) {
  return std::max_element(scores.begin(), scores.end()) - scores.begin();
}

bool IsInTopK(std::span<const float> scores, int64_t label, int k) {
  const float score = scores[label];
  int64_t better = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(scores.size()); ++i) {
    better += scores[i] > score || (scores[i] == score && i < label);
  }
  return better < k;
}

void Sqnr::Add(std::span<const float> reference, std::span<const float> quantized) {
  double signal = 0, noise = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double f = reference[i], difference = f - quantized[i];
    signal += f * f;
    noise += difference * difference;
  }
  signal_ += signal;
  noise_ += noise;
}

double Sqnr::Decibel() const {
  if (noise_ == 0) return signal_ == 0 ? 0 : std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal_ / noise_);
}

void Sqnr::Save(ByteWriter& writer) const {
  writer.Write(signal_);
  writer.Write(noise_);
}

void Sqnr::Restore(ByteReader& reader) {
  signal_ = reader.Read<double>();
  noise_ = reader.Read<double>();
}

void Comparison::Add(std::span<const float> fp32, std::span<const float> int8,
                     std::optional<int64_t> label) {
  ++images_;
  agree_ += ArgMax(fp32) == ArgMax(int8);
  sqnr_.Add(fp32, int8);
  if (!label) return;
  ++labelled_;
  fp32_top1_ += IsInTopK(fp32, *label, 1);
  fp32_top5_ += IsInTopK(fp32, *label, 5);
  int8_top1_ += IsInTopK(int8, *label, 1);
  int8_top5_ += IsInTopK(int8, *label, 5);
}

double Comparison::Fraction(int64_t part, int64_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN() : double(part) / double(whole);
}

void Comparison::Save(ByteWriter& writer) const {
  for (const int64_t count :
       {images_, labelled_, agree_, fp32_top1_, fp32_top5_, int8_top1_, int8_top5_}) {
    writer.Write(count);
  }
  sqnr_.Save(writer);
}

void Comparison::Restore(ByteReader& reader) {
  for (int64_t* count :
       {&images_, &labelled_, &agree_, &fp32_top1_, &fp32_top5_, &int8_top1_, &int8_top5_}) {
    *count = reader.Read<int64_t>();
  }
  sqnr_.Restore(reader);
}

}  // namespace haq::eval
