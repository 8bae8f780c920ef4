#include "server/metrics/clipping.h"

#include <prometheus/metric_family.h>

#include <utility>

namespace haq::server::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Family(std::string name, std::string help, MetricType type = MetricType::Gauge) {
  MetricFamily family;
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = type;
  return family;
}

void Add(MetricFamily& family, const ModelClipping& model, const std::string& tensor,
         double value) {
  ClientMetric metric;
  metric.label = {{"model", model.model}, {"version", std::to_string(model.version)}};
  if (!tensor.empty()) metric.label.push_back({"tensor", tensor});
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family.metric.push_back(std::move(metric));
}

}  // namespace

void ClippingCollector::Set(std::vector<ModelClipping> models) {
  const std::lock_guard lock(mutex_);
  models_ = std::move(models);
}

std::vector<MetricFamily> ClippingCollector::Collect() const {
  MetricFamily images =
      Family("haq_model_clipping_images_total", "Images whose clipped activations were counted",
             MetricType::Counter);
  MetricFamily drift = Family("haq_model_clipping_drift",
                              "Clipping compared with calibration, of the tensor with most of it");
  MetricFamily mean = Family("haq_model_clipping_drift_mean",
                             "Clipping compared with calibration, on average over the tensors");
  MetricFamily of_tensor =
      Family("haq_model_clipping_tensor_drift", "Clipping of a tensor compared with calibration");
  MetricFamily ratio = Family("haq_model_clipping_ratio",
                              "Share of a tensor's elements that are at an end of its range");
  MetricFamily calibrated =
      Family("haq_model_clipping_calibrated_ratio",
             "Share of a tensor's elements that were at an end of its range at calibration");
  const std::lock_guard lock(mutex_);
  if (models_.empty()) return {};
  for (const ModelClipping& model : models_) {
    Add(images, model, "", static_cast<double>(model.images));
    Add(drift, model, "", model.drift);
    Add(mean, model, "", model.mean_drift);
    for (const ModelClipping::Tensor& tensor : model.tensors) {
      Add(of_tensor, model, tensor.name, tensor.drift);
      Add(ratio, model, tensor.name, tensor.ratio);
      Add(calibrated, model, tensor.name, tensor.calibrated_ratio);
    }
  }
  std::vector<MetricFamily> families{std::move(images), std::move(drift), std::move(mean)};
  for (MetricFamily* family : {&of_tensor, &ratio, &calibrated}) {
    if (!family->metric.empty()) families.push_back(std::move(*family));
  }
  return families;
}

}  // namespace haq::server::metrics
