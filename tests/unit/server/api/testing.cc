#include "testing.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <array>
#include <fstream>

#include "core/artifact/file.h"
#include "core/base/file.h"
#include "core/base/sha256.h"
#include "core/data/dataset.h"
#include "core/data/encode.h"

namespace haq::test {
namespace {

void Put(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(i < 8 ? static_cast<char>(value >> (8 * i)) : 0);
}

class Images : public data::SampleReader {
 public:
  Images(int count, std::optional<int> classes, int salt)
      : count_(count), classes_(classes), salt_(salt) {}

  Result<std::optional<data::Sample>> Next() override {
    if (done_ == count_) return std::optional<data::Sample>();
    data::Image image{8, 8, std::vector<uint8_t>(8 * 8 * 3)};
    for (size_t i = 0; i < image.rgb.size(); ++i) {
      image.rgb[i] = static_cast<uint8_t>(i * 7 + done_ * 31 + salt_ * 17);
    }
    data::Sample sample;
    sample.key = fmt::format("image{:03}", done_);
    HAQ_ASSIGN_OR_RETURN(sample.encoded, data::EncodePng(image));
    if (classes_) sample.label = done_ % *classes_;
    ++done_;
    return std::optional<data::Sample>(std::move(sample));
  }

 private:
  const int count_;
  const std::optional<int> classes_;
  const int salt_;
  int done_ = 0;
};

}  // namespace

TempFolder::TempFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "haq-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "cannot make " << name;
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void RecordingJobListener::OnStateChange(const std::string& job, server::jobs::JobState from,
                                         server::jobs::JobState to) {
  const std::lock_guard lock(mutex_);
  changes_.push_back({job, from, to});
}

std::vector<StateChange> RecordingJobListener::changes() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}

void RecordingJobListener::OnPhase(const std::string& phase, double seconds) {
  const std::lock_guard lock(mutex_);
  phases_.push_back(fmt::format("{} {}", phase, seconds));
}

void RecordingJobListener::OnCalibrationSpeed(const std::string& job, double images_per_second) {
  const std::lock_guard lock(mutex_);
  speeds_.push_back(fmt::format("{} {}", job, images_per_second));
}

void RecordingJobListener::OnWorkerRestart(bool crashed) {
  ++restarts_;
  crashes_ += crashed;
}

std::vector<std::string> RecordingJobListener::phases() const {
  const std::lock_guard lock(mutex_);
  return phases_;
}

std::vector<std::string> RecordingJobListener::speeds() const {
  const std::lock_guard lock(mutex_);
  return speeds_;
}

void RecordingArtifactListener::OnFigures(const std::string&,
                                          const server::api::ServedFigures& figures) {
  const std::lock_guard lock(mutex_);
  figures_.push_back(figures);
}

std::vector<server::api::ServedFigures> RecordingArtifactListener::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

void RecordingArtifactListener::OnVersionRegistered(const std::string& model_id, int64_t version,
                                                    const std::filesystem::path& path) {
  EXPECT_TRUE(artifact::Load(path).ok());
  const std::lock_guard lock(mutex_);
  calls_.push_back(fmt::format("{} {}", model_id, version));
}

void RecordingArtifactListener::OnModelDeleted(const std::string& model_id) {
  const std::lock_guard lock(mutex_);
  calls_.push_back("-" + model_id);
}

std::vector<std::string> RecordingArtifactListener::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

std::string Sha256Hex(const std::string& bytes) {
  return ToHex(Sha256Of({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
}

std::string MakeZip(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out, directory;
  for (const auto& [name, content] : entries) {
    const size_t offset = out.size();
    Put(out, 0x04034b50, 4);
    Put(out, 20, 2);
    Put(out, 0, 8);  // flags, method, time, date
    Put(out, 0, 4);  // the checksum, which nobody here looks at
    Put(out, content.size(), 4);
    Put(out, content.size(), 4);
    Put(out, name.size(), 2);
    Put(out, 0, 2);
    out += name + content;
    Put(directory, 0x02014b50, 4);
    Put(directory, 20, 2);
    Put(directory, 20, 2);
    Put(directory, 0, 8);
    Put(directory, 0, 4);
    Put(directory, content.size(), 4);
    Put(directory, content.size(), 4);
    Put(directory, name.size(), 2);
    Put(directory, 0, 12);  // extra, comment, disk, attributes
    Put(directory, offset, 4);
    directory += name;
  }
  const size_t begin = out.size();
  out += directory;
  Put(out, 0x06054b50, 4);
  Put(out, 0, 4);
  Put(out, entries.size(), 2);
  Put(out, entries.size(), 2);
  Put(out, directory.size(), 4);
  Put(out, begin, 4);
  Put(out, 0, 2);
  return out;
}

std::string MakeTorchScript(const std::string& salt) {
  return MakeZip({{"net/data.pkl", "pickle" + salt},
                  {"net/code/__torch__.py", "class Net: pass"},
                  {"net/constants.pkl", "constants"}});
}

std::string MakeShard(int images, std::optional<int> classes, int salt) {
  const TempFolder folder;
  Images reader(images, classes, salt);
  const auto shards = data::PackShards(reader, folder.path());
  if (!shards.ok() || shards->size() != 1) {
    ADD_FAILURE() << shards.status().ToString();
    return "";
  }
  return *ReadTextFile(shards->front().path);
}

std::string MakeArtifact(int salt, std::vector<int64_t> input_shape) {
  artifact::Model model;
  const std::vector<int32_t> shape{static_cast<int32_t>(input_shape[1]),
                                   static_cast<int32_t>(input_shape[2]),
                                   static_cast<int32_t>(input_shape[0])};
  model.tensors.push_back({"input", artifact::DataType::kUint8, shape, 0.5f, 128});
  model.tensors.push_back({"output", artifact::DataType::kUint8, shape, 0.25f, 3});
  artifact::Table table;
  for (int i = 0; i < 256; ++i) table.table[i] = static_cast<uint8_t>(i + salt);
  model.layers.push_back({"table", table, {0}, 1, 0, 0});
  model.input = 0;
  model.output = 1;
  model.input_shape = std::move(input_shape);
  model.preprocess_json = "{}";
  model.metadata_json = "{}";
  const auto bytes = artifact::Serialize(model);
  if (!bytes.ok()) {
    ADD_FAILURE() << bytes.status().ToString();
    return "";
  }
  return {bytes->begin(), bytes->end()};
}

std::string UploadBlob(server::api::Service& service, const std::string& bytes) {
  const std::string sha256 = Sha256Hex(bytes);
  const auto size = static_cast<int64_t>(bytes.size());
  const auto started = service.uploads().Start(sha256, size);
  EXPECT_TRUE(started.ok()) << started.status().ToString();
  if (started.ok() && !started->complete) {
    const auto written = service.uploads().Write(
        sha256, 0, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    EXPECT_TRUE(written.ok() && written->complete) << written.status().ToString();
  }
  return sha256;
}

void PushModel(server::api::Service& service, const std::string& id,
               const std::vector<std::string>& class_names) {
  haq::v1::CreateModelRequest request;
  request.set_model_id(id);
  request.mutable_model()->set_sha256(UploadBlob(service, MakeTorchScript(id)));
  for (const int64_t dimension : {3, 8, 8}) request.mutable_model()->add_input_shape(dimension);
  for (const std::string& name : class_names) request.mutable_model()->add_class_names(name);
  const auto model = service.models().Create(request);
  EXPECT_TRUE(model.ok()) << model.status().ToString();
}

void PushDataset(server::api::Service& service, const std::string& id, int salt,
                 std::optional<int> classes) {
  haq::v1::CreateDatasetRequest request;
  request.set_dataset_id(id);
  request.mutable_dataset()->add_shards()->set_sha256(
      UploadBlob(service, MakeShard(6, classes, salt)));
  const auto dataset = service.datasets().Create(request);
  EXPECT_TRUE(dataset.ok()) << dataset.status().ToString();
}

haq::v1::CreateJobRequest JobRequest() {
  haq::v1::CreateJobRequest request;
  request.mutable_spec()->set_model("models/m");
  request.mutable_spec()->set_calibration_dataset("datasets/cal");
  request.mutable_spec()->set_evaluation_dataset("datasets/eval");
  return request;
}

}  // namespace haq::test
