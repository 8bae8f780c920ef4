// Accuracy of a classifier and of its quantized form, as running sums.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/base/byte_io.h"
#include "core/base/status.h"

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
  // Infinity when nothing differs; 0 when nothing was added.
  double Decibel() const;
  void Save(ByteWriter& writer) const;
  void Restore(ByteReader& reader);

 private:
  double signal_ = 0, noise_ = 0;
};

// FP32 and INT8 side by side.
class Comparison {
 public:
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

  void Save(ByteWriter& writer) const;
  void Restore(ByteReader& reader);

 private:
  static double Fraction(int64_t part, int64_t whole);

  int64_t images_ = 0, labelled_ = 0, agree_ = 0;
  int64_t fp32_top1_ = 0, fp32_top5_ = 0, int8_top1_ = 0, int8_top5_ = 0;
  Sqnr sqnr_;
};

}  // namespace haq::eval
