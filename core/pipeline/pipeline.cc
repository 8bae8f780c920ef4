#include "core/pipeline/pipeline.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/artifact/clipping.h"
#include "core/artifact/file.h"
#include "core/base/byte_io.h"
#include "core/base/sha256.h"
#include "core/base/thread_pool.h"
#include "core/calib/calibrator.h"
#include "core/calib/observer.h"
#include "core/correct/bias_correction.h"
#include "core/correct/equalize.h"
#include "core/correct/input_shift.h"
#include "core/eval/accuracy.h"
#include "core/float_exec/executor.h"
#include "core/lower/lower.h"
#include "core/pipeline/calibration_check.h"
#include "core/pipeline/checkpoint.h"
#include "core/pipeline/diagnosis.h"
#include "core/pipeline/image_batches.h"
#include "core/pipeline/import_model.h"
#include "core/pipeline/integer_clipping.h"
#include "core/pipeline/integer_runner.h"
#include "core/pipeline/layer_sqnr.h"
#include "core/pipeline/report.h"
#include "core/pipeline/rounding.h"
#include "core/pipeline/sensitivity.h"
#include "core/pipeline/speed.h"
#include "core/pipeline/tensor_figures.h"
#include "core/pipeline/wide.h"
#include "core/quant/wide.h"
#include "core/runtime/self_test.h"

namespace haq::pipeline {
namespace {

using Clock = std::chrono::steady_clock;

// Images behind the per-layer SQNR; enough for a tenth of a dB, since every image is thousands of
// values.
constexpr int64_t kLayerSqnrImages = 32;

// Images behind the share of activations that clip: with thousands of values an image, enough for
// shares far below those that matter.
constexpr int64_t kClippingImages = 256;

// Images behind the means and ranges per channel that equalization and bias correction use: every
// image has thousands of values a channel.
constexpr int64_t kStatisticsImages = 512;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Accuracy ToAccuracy(const eval::Comparison& comparison) {
  return {comparison.images(),    comparison.fp32_top1(), comparison.fp32_top5(),
          comparison.int8_top1(), comparison.int8_top5(), comparison.agreement(),
          comparison.sqnr_db()};
}

int64_t TotalOf(int64_t images, int64_t limit) {
  return limit > 0 && images > 0 ? std::min(images, limit) : std::max(images, limit);
}

// Comparing makes sense with numbers only.
Status CheckFinite(std::span<const float> logits, const std::string& key) {
  const auto bad =
      std::find_if(logits.begin(), logits.end(), [](float logit) { return !std::isfinite(logit); });
  if (bad == logits.end()) return {};
  return InvalidField("evaluation_dataset", "output {} of the FP32 network is {} for image \"{}\"",
                      bad - logits.begin(), *bad, key);
}

class Job {
 public:
  Job(const Options& options, const Inputs& inputs, Listener& listener,
      const CancellationToken& cancellation)
      : options_(options),
        inputs_(inputs),
        listener_(listener),
        cancellation_(cancellation),
        pool_(options.threads) {}

  Result<Output> Run() {
    HAQ_RETURN_IF_ERROR(Validate(options_));
    corrections_ = Resolve(options_);
    HAQ_ASSIGN_OR_RETURN(preprocess_, data::Preprocess::FromJson(options_.preprocess_json));
    graph_preprocess_ = preprocess_;
    listener_.OnProgress({"import", 0, 1, 0});
    HAQ_ASSIGN_OR_RETURN(graph_, ImportModel(inputs_.model, options_.input_shape, given_));
    HAQ_RETURN_IF_ERROR(lower::CheckLowerable(graph_));
    if (!given_.empty()) TakeAsItIs();
    HAQ_RETURN_IF_ERROR(FindWideTensors(graph_, options_.wide_tensors).status());
    HAQ_ASSIGN_OR_RETURN(executor_, float_exec::Executor::Create(graph_, options_.threads));
    listener_.OnProgress({"import", 1, 1, 0});

    RestoreCheckpoint();
    HAQ_RETURN_IF_ERROR(LetPixelsEnterExactly());
    if (corrections_.equalize) HAQ_RETURN_IF_ERROR(Equalize());
    calib::Calibrator calibrator(graph_, options_.method);
    HAQ_RETURN_IF_ERROR(Calibrate(calibrator));
    HAQ_RETURN_IF_ERROR(LowerAndSerialize(calibrator));
    Warn(calibrator);
    HAQ_RETURN_IF_ERROR(MeasureLayers());
    HAQ_RETURN_IF_ERROR(MeasureSensitivity());
    findings_ =
        Diagnose({options_, graph_, lowered_, calibrator, ranges_, figures_, *sensitivity_});
    HAQ_RETURN_IF_ERROR(Evaluate());
    if (options_.compare_speed) HAQ_RETURN_IF_ERROR(CompareSpeed());
    std::string report = MakeReport(ReportInputsNow());
    return Output{std::move(artifact_), std::move(report)};
  }

 private:
  // A model that was quantized elsewhere: its scales are taken, nothing of it is corrected.
  void TakeAsItIs() {
    corrections_ = {};
    listener_.OnWarning(kGivenWarning);
  }

  void RestoreCheckpoint() {
    checkpoint_.digest = DigestOf(options_, inputs_.model);
    if (inputs_.checkpoint.empty()) return;
    auto checkpoint = Checkpoint::Parse(inputs_.checkpoint, checkpoint_.digest);
    if (checkpoint.ok()) {
      checkpoint_ = *std::move(checkpoint);
    } else {
      listener_.OnWarning(
          fmt::format("starting from the beginning: {}", checkpoint.status().message()));
    }
  }

  bool CheckpointIsDue() const {
    return Clock::now() - last_checkpoint_ >=
           std::chrono::milliseconds(options_.checkpoint_interval_ms);
  }
  Status SaveCheckpoint() {
    last_checkpoint_ = Clock::now();
    return listener_.SaveCheckpoint(checkpoint_.Serialize());
  }

  void RememberCalibration(const calib::Calibrator& calibrator) {
    ByteWriter writer;
    calibrator.Save(writer);
    variety_.Save(writer);
    checkpoint_.calibrator = writer.Take();
  }

  void RememberRounding(const Rounding& rounding) {
    ByteWriter writer;
    rounding.Save(writer);
    checkpoint_.rounding = writer.Take();
  }

  Status Calibrate(calib::Calibrator& calibrator) {
    if (!checkpoint_.calibrator.empty()) {
      ByteReader reader(checkpoint_.calibrator);
      HAQ_RETURN_IF_ERROR(calibrator.Restore(reader));
      variety_.Restore(reader);
      if (reader.failed()) return DataLoss("the state of the calibration is cut off");
    }
    if (checkpoint_.evaluation.empty()) HAQ_RETURN_IF_ERROR(ObserveImages(calibrator));
    calibration_images_ = calibrator.images();
    if (calibration_images_ == 0) {
      return InvalidField("calibration_dataset", "has no images");
    }
    RememberCalibration(calibrator);
    return {};
  }

  Status ObserveImages(calib::Calibrator& calibrator) {
    HAQ_ASSIGN_OR_RETURN(const auto reader, inputs_.open_calibration());
    ImageBatches batches(*reader, graph_preprocess_, options_.input_shape,
                         options_.limit_calibration, pool_);
    HAQ_RETURN_IF_ERROR(batches.Skip(calibrator.images()));
    const int64_t total = TotalOf(inputs_.calibration_images, options_.limit_calibration);
    const double seconds_before = checkpoint_.calibration_seconds;
    const auto start = Clock::now();
    for (Batch batch;;) {
      HAQ_RETURN_IF_ERROR(cancellation_.Check());
      HAQ_RETURN_IF_ERROR(batches.Next(batch).WithContext("calibration dataset"));
      if (batch.n == 0) return {};
      HAQ_RETURN_IF_ERROR(ObserveBatch(calibrator, batch));
      checkpoint_.calibration_seconds = seconds_before + SecondsSince(start);
      listener_.OnProgress({"calibrate", calibrator.images(), total,
                            double(calibrator.images()) / checkpoint_.calibration_seconds});
      if (!CheckpointIsDue()) continue;
      RememberCalibration(calibrator);
      HAQ_RETURN_IF_ERROR(SaveCheckpoint());
    }
  }

  Status ObserveBatch(calib::Calibrator& calibrator, const Batch& batch) {
    variety_.Add(batch.n, batch.input);
    return calibrator.ObserveBatch(*executor_, batch.n, batch.input)
        .WithContext(fmt::format("calibration_dataset: images \"{}\" to \"{}\"", batch.keys.front(),
                                 batch.keys.back()));
  }

  void Warn(const calib::Calibrator& calibrator) {
    warnings_ = CalibrationWarnings(graph_, calibrator, lowered_, variety_);
    for (const std::string& warning : warnings_) listener_.OnWarning(warning);
    if (!given_.empty()) warnings_.insert(warnings_.begin(), kGivenWarning);
  }

  // Runs `add` on batches of the first calibration images, at most `limit`.
  template <typename Add>
  Status ForCalibrationBatches(int64_t limit, const data::Preprocess& preprocess, const Add& add) {
    HAQ_ASSIGN_OR_RETURN(const auto reader, inputs_.open_calibration());
    const int64_t most = TotalOf(options_.limit_calibration, limit);
    ImageBatches batches(*reader, preprocess, options_.input_shape, most, pool_);
    int64_t done = 0;
    for (Batch batch;;) {
      HAQ_RETURN_IF_ERROR(cancellation_.Check());
      HAQ_RETURN_IF_ERROR(batches.Next(batch).WithContext("calibration dataset"));
      if (batch.n == 0) break;
      HAQ_RETURN_IF_ERROR(add(batch));
      done += batch.n;
    }
    if (done == 0) return InvalidField("calibration_dataset", "has no images");
    return {};
  }

  // The same, as a phase of its own.
  template <typename Add>
  Status PassOverCalibration(const std::string& phase, int64_t limit, const Add& add) {
    const int64_t total =
        TotalOf(inputs_.calibration_images, TotalOf(options_.limit_calibration, limit));
    int64_t done = 0;
    const auto start = Clock::now();
    return ForCalibrationBatches(limit, graph_preprocess_, [&](const Batch& batch) -> Status {
      HAQ_RETURN_IF_ERROR(add(batch));
      done += batch.n;
      listener_.OnProgress({phase, done, total, double(done) / SecondsSince(start)});
      return {};
    });
  }

  // Rewrites graph_; the FP32 network that accuracy is compared with stays the submitted one.
  Status Rewrite(ir::Graph graph) {
    if (!baseline_) {
      baseline_graph_ = std::move(graph_);
      HAQ_ASSIGN_OR_RETURN(baseline_,
                           float_exec::Executor::Create(baseline_graph_, options_.threads));
    }
    graph_ = std::move(graph);
    HAQ_ASSIGN_OR_RETURN(executor_, float_exec::Executor::Create(graph_, options_.threads));
    return {};
  }

  // Part of `redistribution`: the other methods are measured as they are defined.
  Status LetPixelsEnterExactly() {
    if (!given_.empty() || options_.method != "redistribution" || options_.scheme == "symmetric")
      return {};
    correct::PixelGrid pixels;
    for (size_t c = 0; c < preprocess_.std.size(); ++c) {
      pixels.step.push_back(preprocess_.scale / preprocess_.std[c]);
      pixels.offset.push_back(-preprocess_.mean[c] / preprocess_.std[c]);
    }
    input_shift_ = correct::FindInputShift(graph_, pixels);
    const auto moves = [](double shift) { return std::abs(shift) > 1e-9; };
    if (!input_shift_ ||
        std::none_of(input_shift_->shift.begin(), input_shift_->shift.end(), moves)) {
      return {};
    }
    for (size_t c = 0; c < preprocess_.std.size(); ++c) {
      graph_preprocess_.mean[c] -= input_shift_->shift[c] * preprocess_.std[c];
    }
    ir::Graph shifted = graph_;
    correct::ShiftInput(shifted, *input_shift_);
    return Rewrite(std::move(shifted));
  }

  Status Equalize() {
    correct::ChannelStatistics statistics(graph_, correct::EqualizeNeeds(graph_));
    HAQ_RETURN_IF_ERROR(PassOverCalibration("equalize", kStatisticsImages, [&](const Batch& batch) {
      return statistics.Add(*executor_, batch.n, batch.input);
    }));
    HAQ_ASSIGN_OR_RETURN(const auto granularity, quant::ParseWeightGranularity(options_.weights));
    ir::Graph equalized = graph_;
    HAQ_ASSIGN_OR_RETURN(equalized_, correct::Equalize(equalized, statistics, granularity));
    return Rewrite(std::move(equalized));
  }

  Status CorrectBiases(const lower::Options& lower_options) {
    correct::ChannelStatistics statistics(graph_, correct::BiasCorrectionNeeds(graph_, lowered_));
    HAQ_RETURN_IF_ERROR(PassOverCalibration(
        "bias_correction", kStatisticsImages,
        [&](const Batch& batch) { return statistics.Add(*executor_, batch.n, batch.input); }));
    ir::Graph corrected = graph_;
    HAQ_RETURN_IF_ERROR(correct::CorrectBiases(corrected, lowered_, statistics));
    HAQ_ASSIGN_OR_RETURN(lowered_, lower::Lower(corrected, ranges_, lower_options));
    return {};
  }

  // Lowers once more with the tensors that the job keeps at 16 bits, if any.
  Status KeepWide(lower::Options& lower_options) {
    if (options_.wide_count == 0 && options_.wide_tensors.empty()) return {};
    HAQ_ASSIGN_OR_RETURN(lower_options.wide, FindWideTensors(graph_, options_.wide_tensors));
    if (options_.wide_count > 0) {
      HAQ_ASSIGN_OR_RETURN(lower_options.wide, ChooseWorst(lower_options));
    }
    const lower::Lowered narrow = std::move(lowered_);
    auto wide = lower::Lower(graph_, ranges_, lower_options);
    if (!wide.ok()) return wide.status().WithContext("wide_tensors");
    lowered_ = *std::move(wide);
    wide_.tensors = WidenedTensors(narrow, lowered_, lower_options.wide);
    if (wide_.tensors.empty()) return {};
    const std::vector<float> image(*ir::ElementCount(graph_.values[graph_.input].shape));
    HAQ_ASSIGN_OR_RETURN(wide_.cost, MeasureWideCost(narrow.model, lowered_.model, image));
    return {};
  }

  // Judged by calibration images: those of the evaluation are there to be surprised by.
  Result<std::vector<ir::ValueId>> ChooseWorst(const lower::Options& lower_options) {
    Sensitivity sensitivity(graph_, lowered_);
    const int64_t images = SensitivityImages(graph_, lowered_);
    HAQ_RETURN_IF_ERROR(PassOverCalibration("wide", images, [&](const Batch& batch) {
      return sensitivity.Add(*executor_, batch.n, batch.input, [&] {
        listener_.OnProgress({"wide", sensitivity.images(), images, 0});
        return cancellation_.Check();
      });
    }));
    HAQ_ASSIGN_OR_RETURN(const std::vector<bool> allowed,
                         CanBeWidened(graph_, ranges_, lower_options, lowered_));
    std::vector<ir::ValueId> values;
    for (const int decision : ChooseWide(sensitivity.tensors(), allowed, options_.wide_count)) {
      values.push_back(lowered_.decisions[decision].value);
    }
    return values;
  }

  // What the artifact is watched for when it serves: the images are those that chose the ranges.
  Status CountClipping() {
    IntegerClipping counting(graph_, lowered_);
    HAQ_RETURN_IF_ERROR(counting.Prepare(pool_));
    const int64_t total =
        TotalOf(inputs_.calibration_images, TotalOf(options_.limit_calibration, kClippingImages));
    HAQ_RETURN_IF_ERROR(
        ForCalibrationBatches(kClippingImages, preprocess_, [&](const Batch& batch) {
          listener_.OnProgress({"clipping", counting.images(), total, 0});
          return counting.Add(batch);
        }));
    artifact::WriteClipping(counting.Counts(), lowered_.model);
    return {};
  }

  // The rounding of the weights, and with bias correction the biases.
  Status LearnRounding(const lower::Options& lower_options) {
    const RoundingLimits limits;
    const auto for_each_batch = [&](const std::function<Status(const Batch&)>& add) {
      return ForCalibrationBatches(limits.images, graph_preprocess_, add);
    };
    Rounding* learning = nullptr;
    const auto on_progress = [&](int64_t done, int64_t total) -> Status {
      listener_.OnProgress({"adaround", done, total, 0});
      if (!CheckpointIsDue()) return {};
      RememberRounding(*learning);
      return SaveCheckpoint();
    };
    Rounding rounding({graph_, ranges_, lower_options, corrections_.bias_correction, *executor_,
                       pool_, cancellation_, for_each_batch, on_progress},
                      limits);
    learning = &rounding;
    if (!checkpoint_.rounding.empty()) {
      ByteReader reader(checkpoint_.rounding);
      HAQ_RETURN_IF_ERROR(rounding.Restore(reader));
    }
    HAQ_RETURN_IF_ERROR(rounding.Run());
    RememberRounding(rounding);
    learned_layers_ = rounding.layers();
    HAQ_ASSIGN_OR_RETURN(lowered_,
                         lower::Lower(rounding.graph(), ranges_, rounding.lower_options()));
    return {};
  }

  Status LowerAndSerialize(const calib::Calibrator& calibrator) {
    listener_.OnProgress({"lower", 0, 1, 0});
    lower::Options lower_options;
    HAQ_ASSIGN_OR_RETURN(lower_options.scheme, quant::ParseSchemePolicy(options_.scheme));
    HAQ_ASSIGN_OR_RETURN(lower_options.weights, quant::ParseWeightGranularity(options_.weights));
    const calib::ChoiceContext context{lower_options.scheme, lower_options.hybrid};
    HAQ_ASSIGN_OR_RETURN(ranges_, calibrator.ChooseRanges(context));
    lower_options.wide_output = true;
    HAQ_ASSIGN_OR_RETURN(lower_options.wide_ranges, WideRanges(calibrator));
    lower_options.given = given_;
    for (const auto& [value, levels] : given_.values) {
      ranges_[value] = {double(levels.scale) * -levels.zero_point,
                        double(levels.scale) * (255 - levels.zero_point)};
    }
    if (input_shift_) {
      ranges_[graph_.input] = lower_options.wide_ranges[graph_.input] = input_shift_->range;
      lower_options.exact_input = true;
    }
    HAQ_ASSIGN_OR_RETURN(lowered_, lower::Lower(graph_, ranges_, lower_options));
    HAQ_RETURN_IF_ERROR(KeepWide(lower_options));
    if (corrections_.adaround) {
      HAQ_RETURN_IF_ERROR(LearnRounding(lower_options));
    } else if (corrections_.bias_correction) {
      HAQ_RETURN_IF_ERROR(CorrectBiases(lower_options));
    }
    HAQ_ASSIGN_OR_RETURN(figures_, MakeTensorFigures(calibrator, lowered_, context));
    artifact::Model& model = lowered_.model;
    model.input_shape = options_.input_shape;
    model.preprocess_json = preprocess_.ToJson();
    model.class_names = options_.class_names;
    HAQ_ASSIGN_OR_RETURN(const std::vector<quant::Range> observed,
                         calibrator.ChooseRanges("minmax", {}));
    model.metadata_json = MakeMetadata(options_, lowered_, wide_, ToHex(Sha256Of(inputs_.model)),
                                       calibrator.images(), graph_, observed);
    HAQ_RETURN_IF_ERROR(CountClipping());
    HAQ_ASSIGN_OR_RETURN(model.golden, runtime::MakeGolden(model));
    HAQ_ASSIGN_OR_RETURN(artifact_, artifact::Serialize(model));
    // What is measured below is what the file says, not what was in memory.
    HAQ_ASSIGN_OR_RETURN(artifact::Model parsed, artifact::Parse(artifact_));
    HAQ_ASSIGN_OR_RETURN(runner_,
                         IntegerRunner::Create(std::move(parsed), pool_, /*self_test=*/true));
    listener_.OnProgress({"lower", 1, 1, 0});
    return {};
  }

  Status MeasureLayers() {
    HAQ_ASSIGN_OR_RETURN(const auto reader, inputs_.open_evaluation());
    const int64_t limit = options_.limit_evaluation > 0
                              ? std::min(options_.limit_evaluation, kLayerSqnrImages)
                              : kLayerSqnrImages;
    ImageBatches batches(*reader, graph_preprocess_, options_.input_shape, limit, pool_);
    LayerSqnr layers(graph_, lowered_);
    for (Batch batch;;) {
      HAQ_RETURN_IF_ERROR(batches.Next(batch).WithContext("evaluation dataset"));
      if (batch.n == 0) break;
      const int64_t elements = static_cast<int64_t>(batch.input.size()) / batch.n;
      for (int64_t i = 0; i < batch.n; ++i) {
        HAQ_RETURN_IF_ERROR(cancellation_.Check());
        HAQ_RETURN_IF_ERROR(layers.Add(*executor_, runner_->session(0),
                                       std::span(batch.input).subspan(i * elements, elements)));
      }
      layer_images_ += batch.n;
      listener_.OnProgress({"layers", layer_images_, limit, 0});
    }
    layer_sqnr_db_ = layers.Decibels();
    return {};
  }

  Status MeasureSensitivity() {
    sensitivity_.emplace(graph_, lowered_);
    HAQ_ASSIGN_OR_RETURN(const auto reader, inputs_.open_evaluation());
    int64_t limit = SensitivityImages(graph_, lowered_);
    if (options_.limit_evaluation > 0) limit = std::min(limit, options_.limit_evaluation);
    ImageBatches batches(*reader, graph_preprocess_, options_.input_shape, limit, pool_);
    for (Batch batch;;) {
      HAQ_RETURN_IF_ERROR(batches.Next(batch).WithContext("evaluation dataset"));
      if (batch.n == 0) break;
      HAQ_RETURN_IF_ERROR(sensitivity_->Add(*executor_, batch.n, batch.input, [&] {
        listener_.OnProgress({"sensitivity", sensitivity_->images(), limit, 0});
        return cancellation_.Check();
      }));
    }
    listener_.OnProgress({"sensitivity", sensitivity_->images(), limit, 0});
    return {};
  }

  Status Evaluate() {
    if (!checkpoint_.evaluation.empty()) {
      ByteReader reader(checkpoint_.evaluation);
      HAQ_RETURN_IF_ERROR(comparison_.Restore(reader));
    }
    HAQ_ASSIGN_OR_RETURN(const auto reader, inputs_.open_evaluation());
    ImageBatches batches(*reader, preprocess_, options_.input_shape, options_.limit_evaluation,
                         pool_);
    HAQ_RETURN_IF_ERROR(batches.Skip(comparison_.images()));
    const int64_t skipped = comparison_.images();
    const int64_t total = TotalOf(inputs_.evaluation_images, options_.limit_evaluation);
    const auto start = Clock::now();
    for (Batch batch;;) {
      HAQ_RETURN_IF_ERROR(cancellation_.Check());
      HAQ_RETURN_IF_ERROR(batches.Next(batch).WithContext("evaluation dataset"));
      if (batch.n == 0) break;
      HAQ_RETURN_IF_ERROR(CompareBatch(batch));
      evaluation_seconds_ = SecondsSince(start);
      listener_.OnProgress({"evaluate", comparison_.images(), total,
                            double(comparison_.images() - skipped) / evaluation_seconds_});
      listener_.OnAccuracy(ToAccuracy(comparison_));
      if (!CheckpointIsDue()) continue;
      ByteWriter writer;
      comparison_.Save(writer);
      checkpoint_.evaluation = writer.Take();
      HAQ_RETURN_IF_ERROR(SaveCheckpoint());
    }
    if (comparison_.images() == 0) return InvalidField("evaluation_dataset", "has no images");
    return {};
  }

  Status CompareBatch(const Batch& batch) {
    const int64_t classes = runner_->output_elements();
    HAQ_RETURN_IF_ERROR(CheckLabels(batch, classes));
    fp32_logits_.resize(batch.n * classes);
    int8_logits_.resize(batch.n * classes);
    float_exec::Executor& submitted = baseline_ ? *baseline_ : *executor_;
    HAQ_RETURN_IF_ERROR(submitted.Run(batch.n, batch.input, fp32_logits_));
    HAQ_RETURN_IF_ERROR(runner_->Run(batch.n, batch.input, int8_logits_));
    for (int64_t i = 0; i < batch.n; ++i) {
      const auto fp32 = std::span(fp32_logits_).subspan(i * classes, classes);
      HAQ_RETURN_IF_ERROR(CheckFinite(fp32, batch.keys[i]));
      comparison_.Add(fp32, std::span(int8_logits_).subspan(i * classes, classes), batch.labels[i]);
    }
    return {};
  }

  // On this thread alone, so the bodies of no ParallelFor are at work meanwhile.
  Status CompareSpeed() {
    listener_.OnProgress({"speed", 0, 1, 0});
    const ir::Graph& submitted = baseline_ ? baseline_graph_ : graph_;
    HAQ_RETURN_IF_ERROR(ForCalibrationBatches(1, preprocess_, [&](const Batch& batch) -> Status {
      HAQ_ASSIGN_OR_RETURN(
          speed_, MeasureSpeed(inputs_.model, submitted, runner_->loaded()->model(), batch.input));
      return {};
    }));
    listener_.OnProgress({"speed", 1, 1, 0});
    return {};
  }

  ReportInputs ReportInputsNow() const {
    return {options_,
            graph_,
            lowered_,
            comparison_,
            ranges_,
            layer_sqnr_db_,
            warnings_,
            figures_,
            *sensitivity_,
            findings_,
            wide_,
            speed_,
            equalized_,
            learned_layers_,
            layer_images_,
            calibration_images_,
            checkpoint_.calibration_seconds,
            evaluation_seconds_,
            static_cast<int64_t>(artifact_.size())};
  }

  const Options& options_;
  const Inputs& inputs_;
  Listener& listener_;
  const CancellationToken& cancellation_;
  quant::Corrections corrections_;
  ThreadPool pool_;
  ir::GivenQuantization given_;
  data::Preprocess preprocess_;
  ir::Graph graph_;                    // what is lowered: the submitted network, or a rewritten one
  data::Preprocess graph_preprocess_;  // what graph_ takes
  std::optional<correct::InputShift> input_shift_;
  std::unique_ptr<float_exec::Executor> executor_;
  ir::Graph baseline_graph_;  // as submitted, where graph_ was equalized
  std::unique_ptr<float_exec::Executor> baseline_;
  std::vector<correct::EqualizedPair> equalized_;
  std::vector<LearnedLayer> learned_layers_;
  Checkpoint checkpoint_;
  Clock::time_point last_checkpoint_ = Clock::now();
  int64_t calibration_images_ = 0;
  ImageVariety variety_;
  std::vector<std::string> warnings_;
  std::vector<quant::Range> ranges_;
  lower::Lowered lowered_;
  WideOutcome wide_;
  std::optional<Speed> speed_;
  std::vector<TensorFigures> figures_;
  std::vector<uint8_t> artifact_;
  std::unique_ptr<IntegerRunner> runner_;
  std::vector<double> layer_sqnr_db_;
  int64_t layer_images_ = 0;
  std::optional<Sensitivity> sensitivity_;
  std::vector<Finding> findings_;
  eval::Comparison comparison_;
  double evaluation_seconds_ = 0;
  std::vector<float> fp32_logits_, int8_logits_;
};

}  // namespace

Result<Output> Quantize(const Options& options, const Inputs& inputs, Listener& listener,
                        const CancellationToken& cancellation) {
  return Job(options, inputs, listener, cancellation).Run();
}

}  // namespace haq::pipeline
