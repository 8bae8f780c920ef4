// Accuracy of a classifier and of its quantized form, as running sums.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/byte_io.h"
#include "core/base/status.h"
#include "core/eval/statistics.h"

namespace haq::eval {

// Index of the largest value; the first of equals (as numpy.argmax and torch.argmax on CPU). Not
// empty.
int64_t ArgMax(std::span<const float> scores);

// Whether `label` is among the k best; of equal scores the lower index is better.
bool IsInTopK(std::span<const float> scores, int64_t label, int k);

// Signal-to-quantization-noise ratio, 10 log10(sum f^2 / sum (f - q)^2), over any number of
// tensors. Sums are kept in double, in the order of the calls.
class Sqnr {
 public:
  void Add(std::span<const float> reference, std::span<const float> quantized);
  void Add(const Sqnr& other);
  // Infinity when nothing differs.
  double Decibel() const;
  double signal() const { return signal_; }  // sum f^2
  double noise() const { return noise_; }    // sum (f - q)^2
  void Save(ByteWriter& writer) const;
  void Restore(ByteReader& reader);

 private:
  double signal_ = 0, noise_ = 0;
};

// What both networks said to each image, in the order they came: indices of classes, and of the
// scores the sums of which the SQNR is made.
struct Predictions {
  std::vector<int32_t> label;  // -1: the image has none
  std::vector<int32_t> fp32, int8;
  std::vector<float> signal, noise;  // sum f^2, sum (f - q)^2
  bool operator==(const Predictions&) const = default;
};

// How many images Predictions keeps unless told otherwise: those of the usual test sets, and a
// report that fits into the 4 MiB that a gRPC client takes by default.
inline constexpr int64_t kMaxPredictions = 100'000;

// FP32 and INT8 side by side.
class Comparison {
 public:
  explicit Comparison(int64_t max_predictions = kMaxPredictions)
      : max_predictions_(max_predictions) {}

  // Logits of one image, both of the same length; `label` empty for an image without one, which
  // counts for agreement and SQNR only.
  void Add(std::span<const float> fp32, std::span<const float> int8, std::optional<int64_t> label);

  int64_t images() const { return images_; }
  int64_t labelled_images() const { return labelled_; }
  // Fractions of the labelled images; NaN without any.
  double fp32_top1() const { return Fraction(fp32_top1_, labelled_); }
  double fp32_top5() const { return Fraction(fp32_top5_, labelled_); }
  double int8_top1() const { return Fraction(int8_top1_, labelled_); }
  double int8_top5() const { return Fraction(int8_top5_, labelled_); }
  // Fraction of all images whose best class is the same.
  double agreement() const { return Fraction(agree_, images_); }
  double sqnr_db() const { return sqnr_.Decibel(); }
  // 95 % intervals of those figures.
  Interval fp32_top1_interval() const { return WilsonInterval(fp32_top1_, labelled_); }
  Interval int8_top1_interval() const { return WilsonInterval(int8_top1_, labelled_); }
  Interval agreement_interval() const { return WilsonInterval(agree_, images_); }
  // Of the first `max_predictions` images.
  Interval sqnr_interval() const {
    return DecibelRatioInterval(predictions_.signal, predictions_.noise);
  }
  // The labelled images; FP32 is the first classifier, INT8 the second.
  PairedCounts paired_top1() const { return {labelled_, only_fp32_, only_int8_}; }
  // Of the first `max_predictions` images.
  const Predictions& predictions() const { return predictions_; }

  void Save(ByteWriter& writer) const;
  // kDataLoss where the bytes are cut or contradict themselves; this is then unspecified.
  Status Restore(ByteReader& reader);

 private:
  static double Fraction(int64_t part, int64_t whole);

  int64_t images_ = 0, labelled_ = 0, agree_ = 0;
  int64_t fp32_top1_ = 0, fp32_top5_ = 0, int8_top1_ = 0, int8_top5_ = 0;
  int64_t only_fp32_ = 0, only_int8_ = 0;  // images on which just one is right
  Sqnr sqnr_;
  const int64_t max_predictions_;
  Predictions predictions_;
};

}  // namespace haq::eval
