#include "core/eval/accuracy.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace haq::eval {
namespace {

template <typename T>
void WriteValues(ByteWriter& writer, const std::vector<T>& values) {
  writer.WriteBytes({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T)});
}

template <typename T>
Status ReadValues(ByteReader& reader, int64_t count, std::vector<T>& values) {
  const auto bytes = reader.ReadBytes();
  if (reader.failed() || bytes.size() != count * sizeof(T)) {
    return DataLoss("the state of the evaluation is damaged");
  }
  values.resize(count);
  if (count > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
  return {};
}

}  // namespace

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

void Sqnr::Add(const Sqnr& other) {
  signal_ += other.signal_;
  noise_ += other.noise_;
}

double Sqnr::Decibel() const {
  // Also where both are zero throughout: that network is reproduced exactly.
  if (noise_ == 0) return std::numeric_limits<double>::infinity();
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
  const int64_t fp32_class = ArgMax(fp32), int8_class = ArgMax(int8);
  Sqnr sqnr;
  sqnr.Add(fp32, int8);
  if (images_ < max_predictions_) {
    predictions_.label.push_back(static_cast<int32_t>(label.value_or(-1)));
    predictions_.fp32.push_back(static_cast<int32_t>(fp32_class));
    predictions_.int8.push_back(static_cast<int32_t>(int8_class));
    predictions_.signal.push_back(static_cast<float>(sqnr.signal()));
    predictions_.noise.push_back(static_cast<float>(sqnr.noise()));
  }
  ++images_;
  agree_ += fp32_class == int8_class;
  sqnr_.Add(sqnr);
  if (!label) return;
  ++labelled_;
  only_fp32_ += fp32_class == *label && int8_class != *label;
  only_int8_ += int8_class == *label && fp32_class != *label;
  fp32_top1_ += IsInTopK(fp32, *label, 1);
  fp32_top5_ += IsInTopK(fp32, *label, 5);
  int8_top1_ += IsInTopK(int8, *label, 1);
  int8_top5_ += IsInTopK(int8, *label, 5);
}

double Comparison::Fraction(int64_t part, int64_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN() : double(part) / double(whole);
}

void Comparison::Save(ByteWriter& writer) const {
  for (const int64_t count : {images_, labelled_, agree_, fp32_top1_, fp32_top5_, int8_top1_,
                              int8_top5_, only_fp32_, only_int8_}) {
    writer.Write(count);
  }
  sqnr_.Save(writer);
  for (const auto* classes : {&predictions_.label, &predictions_.fp32, &predictions_.int8}) {
    WriteValues(writer, *classes);
  }
  for (const auto* sums : {&predictions_.signal, &predictions_.noise}) WriteValues(writer, *sums);
}

Status Comparison::Restore(ByteReader& reader) {
  for (int64_t* count : {&images_, &labelled_, &agree_, &fp32_top1_, &fp32_top5_, &int8_top1_,
                         &int8_top5_, &only_fp32_, &only_int8_}) {
    *count = reader.Read<int64_t>();
  }
  sqnr_.Restore(reader);
  const int64_t kept = std::clamp<int64_t>(images_, 0, max_predictions_);
  for (auto* classes : {&predictions_.label, &predictions_.fp32, &predictions_.int8}) {
    HAQ_RETURN_IF_ERROR(ReadValues(reader, kept, *classes));
  }
  for (auto* sums : {&predictions_.signal, &predictions_.noise}) {
    HAQ_RETURN_IF_ERROR(ReadValues(reader, kept, *sums));
  }
  return {};
}

}  // namespace haq::eval
