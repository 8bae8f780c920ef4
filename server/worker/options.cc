#include "server/worker/options.h"

namespace haq::server::worker {

pipeline::Options OptionsOf(const haq::v1::CalibrationSpec& spec) {
  pipeline::Options options;
  // A server that leaves the defaults to the worker sends "".
  if (!spec.method().empty()) options.method = spec.method();
  if (!spec.scheme().empty()) options.scheme = spec.scheme();
  if (!spec.weights().empty()) options.weights = spec.weights();
  if (!spec.preset().empty()) options.preset = spec.preset();
  if (spec.has_bias_correction()) options.bias_correction = spec.bias_correction();
  if (spec.has_equalize()) options.equalize = spec.equalize();
  if (spec.has_adaround()) options.adaround = spec.adaround();
  options.wide_count = spec.wide_count();
  options.wide_tensors.assign(spec.wide_tensors().begin(), spec.wide_tensors().end());
  options.compare_speed = spec.not_slower();
  options.limit_calibration = spec.limit_calibration();
  options.limit_evaluation = spec.limit_evaluation();
  return options;
}

}  // namespace haq::server::worker
