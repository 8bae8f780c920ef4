#include "client/cli/watch.h"

#include <fmt/format.h>

#include "client/cli/interrupt.h"
#include "client/cli/json.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "client/lib/names.h"
#include "core/base/exit_code.h"

namespace haq::client {
namespace {

std::string Describe(const v1::Accuracy& accuracy) {
  return fmt::format("FP32 {:.1f} %, INT8 {:.1f} %, agree {:.1f} %", accuracy.fp32_top1() * 100,
                     accuracy.int8_top1() * 100, accuracy.agreement() * 100);
}

std::string Describe(const v1::JobEvent& event) {
  const auto& change = event.state_change();
  std::string text = fmt::format("job {}", v1::JobState_Name(change.state()));
  if (change.state() == v1::RUNNING && event.attempt() > 1) {
    text += fmt::format(" (attempt {})", event.attempt());
  }
  if (!change.reason().empty()) text += ": " + change.reason();
  if (!change.artifact().empty()) text += ": " + change.artifact();
  return text;
}

// What was chosen beside the preset: ", equalize off, 6 tensors at 16 bits".
std::string DescribeChoices(const v1::CalibrationSpec& spec) {
  std::string text;
  const auto add = [&](const char* name, bool set, bool on) {
    if (set) text += fmt::format(", {} {}", name, on ? "on" : "off");
  };
  add("bias correction", spec.has_bias_correction(), spec.bias_correction());
  add("equalize", spec.has_equalize(), spec.equalize());
  add("adaround", spec.has_adaround(), spec.adaround());
  if (spec.wide_count() > 0) {
    text += fmt::format(", the worst {} tensors at 16 bits", spec.wide_count());
  }
  if (spec.wide_tensors_size() > 0) {
    text += fmt::format(", at 16 bits: {}", fmt::join(spec.wide_tensors(), ", "));
  }
  return text;
}

int ExitCodeOfJob(v1::JobState state) {
  if (state == v1::SUCCEEDED) return kExitOk;
  return state == v1::CANCELLED ? ExitCodeOf(StatusCode::kCancelled) : kExitFailure;
}

}  // namespace

void WatchView::Show(const v1::JobEvent& event) {
  switch (event.event_case()) {
    case v1::JobEvent::kStateChange:
      bar_.Finish();
      bar_.Line(Describe(event));
      break;
    case v1::JobEvent::kProgress:
      bar_.Update(event.progress().phase(), event.progress().done(), event.progress().total(),
                  event.progress().images_per_second(), UnitOfPhase(event.progress().phase()));
      break;
    case v1::JobEvent::kAccuracy:
      bar_.Note(Describe(event.accuracy()));
      break;
    case v1::JobEvent::kLog:
      bar_.Line(event.log().level() + ": " + event.log().message());
      break;
    case v1::JobEvent::EVENT_NOT_SET:
      break;
  }
}

std::string DescribeJob(const v1::Job& job) {
  const auto& spec = job.spec();
  std::string text = fmt::format("{}  {}\n", job.name(), v1::JobState_Name(job.state()));
  if (!job.error().empty()) {
    text += fmt::format("  error        {}: {}\n", job.error_code(), job.error());
  }
  text += fmt::format("  model        {}\n", spec.model());
  text += fmt::format("  calibration  {}{}\n", spec.calibration_dataset(),
                      spec.limit_calibration() > 0
                          ? fmt::format(", first {} images", spec.limit_calibration())
                          : "");
  text += fmt::format(
      "  evaluation   {}{}\n", spec.evaluation_dataset(),
      spec.limit_evaluation() > 0 ? fmt::format(", first {} images", spec.limit_evaluation()) : "");
  text += fmt::format("  method       {}, {}, weights {}\n", spec.method(), spec.scheme(),
                      spec.weights());
  text += fmt::format("  preset       {}{}\n", spec.preset(), DescribeChoices(spec));
  text += fmt::format("  created      {}, started {}, ended {}\n", FormatTime(job.create_time()),
                      FormatTime(job.start_time()), FormatTime(job.end_time()));
  text += fmt::format("  attempt      {}, events {}{}\n", job.attempt(), job.last_sequence(),
                      job.cancel_requested() ? ", cancel requested" : "");
  if (job.state() == v1::RUNNING && job.has_progress()) {
    text += fmt::format("  progress     {} {}/{}\n", job.progress().phase(), job.progress().done(),
                        job.progress().total());
  }
  if (!job.artifact().empty()) text += fmt::format("  artifact     {}\n", job.artifact());
  if (!job.report_json().empty()) {
    text += FormatReport(job.report_json());
  } else if (job.has_accuracy()) {
    text += fmt::format("  accuracy     {}\n", Describe(job.accuracy()));
  }
  return text;
}

Result<int> WatchToEnd(App* app, const std::string& job_name, int64_t from_event) {
  int64_t next = std::max<int64_t>(1, from_event);
  WatchView view(app->progress_stream());
  InterruptGuard interrupt;
  const auto on_event = [&](const v1::JobEvent& event) {
    if (app->json()) {
      app->PrintJsonLine({{"event", ToJson(event)}});
    } else {
      view.Show(event);
    }
    next = event.sequence() + 1;
  };
  const Status status = app->client().WatchJob(job_name, from_event, on_event, interrupt.token());
  view.Finish();
  if (!status.ok()) {
    const bool may_go_on = status.code() == StatusCode::kUnavailable || interrupt.interrupted();
    if (may_go_on) {
      app->Hint(
          fmt::format("{} goes on without being watched; to continue:\n  haq jobs watch {} "
                      "--from-event {}",
                      job_name, ShortName(job_name), next));
    }
    return interrupt.interrupted() ? Result<int>(kExitInterrupted) : Result<int>(status);
  }
  HAQ_ASSIGN_OR_RETURN(const v1::Job job, app->client().GetJob(job_name));
  if (app->json()) {
    app->PrintJsonLine({{"job", ToJson(job)}});
  } else {
    app->Print(DescribeJob(job));
  }
  return ExitCodeOfJob(job.state());
}

}  // namespace haq::client
