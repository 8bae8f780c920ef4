#include "server/api/datasets.h"

#include "service_fixture.h"

namespace haq::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class DatasetsTest : public ServiceTest {
 protected:
  static haq::v1::CreateDatasetRequest Request(const std::vector<std::string>& shards) {
    haq::v1::CreateDatasetRequest request;
    request.set_dataset_id("d");
    request.mutable_dataset();
    for (const std::string& sha256 : shards) {
      request.mutable_dataset()->add_shards()->set_sha256(sha256);
    }
    return request;
  }
  auto Create(const haq::v1::CreateDatasetRequest& request) {
    return service_->datasets().Create(request);
  }
};

TEST_F(DatasetsTest, TheServerCounts) {
  const std::string first = MakeShard(5, 7, 1), second = MakeShard(3, 2, 2);
  haq::v1::CreateDatasetRequest request =
      Request({UploadBlob(*service_, first), UploadBlob(*service_, second)});
  request.mutable_dataset()->set_images(1'000'000);
  request.mutable_dataset()->add_class_names("cat");
  const auto dataset = Create(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status().ToString();
  EXPECT_EQ(dataset->name(), "datasets/d");
  EXPECT_EQ(dataset->images(), 8);
  EXPECT_EQ(dataset->size_bytes(), static_cast<int64_t>(first.size() + second.size()));
  EXPECT_TRUE(dataset->labelled());
  EXPECT_EQ(dataset->max_label(), 4);
  EXPECT_EQ(dataset->shards(1).images(), 3);
  EXPECT_EQ(dataset->class_names(0), "cat");
  EXPECT_EQ(Create(request).status().code(), StatusCode::kAlreadyExists);
}

TEST_F(DatasetsTest, OneImageWithoutLabelMakesItUnlabelled) {
  const auto dataset = Create(Request(
      {UploadBlob(*service_, MakeShard(2, 2, 1)), UploadBlob(*service_, MakeShard(2, {}, 2))}));
  ASSERT_TRUE(dataset.ok());
  EXPECT_FALSE(dataset->labelled());
}

TEST_F(DatasetsTest, EmptyOnes) {
  Status status = Create(Request({})).status();
  ExpectField(status, StatusCode::kInvalidArgument, "dataset.shards");
  EXPECT_THAT(status.message(), HasSubstr("the dataset is empty"));
  // An end of archive and nothing else.
  status = Create(Request({UploadBlob(*service_, std::string(1024, '\0'))})).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr("dataset.shards"));
  EXPECT_EQ(service_->datasets().List({})->datasets_size(), 0);
}

TEST_F(DatasetsTest, ShardsThatCannotBeUsedAreNamed) {
  const std::string good = UploadBlob(*service_, MakeShard(3, 3));
  Status status = Create(Request({good, UploadBlob(*service_, std::string(4096, 'x'))})).status();
  ExpectField(status, StatusCode::kInvalidArgument, "dataset.shards[1].sha256");
  EXPECT_THAT(status.message(), Not(HasSubstr(folder_.path().string())));
  const std::string whole = MakeShard(3, 3);
  status = Create(Request({UploadBlob(*service_, whole.substr(0, 700))})).status();
  ExpectField(status, StatusCode::kInvalidArgument, "dataset.shards[0].sha256");
  std::string damaged = whole;
  for (size_t i = 512; i < 600; ++i) damaged[i] = 'x';  // the first image
  status = Create(Request({UploadBlob(*service_, damaged)})).status();
  ExpectField(status, StatusCode::kInvalidArgument, "dataset.shards[0].sha256");
  EXPECT_THAT(status.message(), HasSubstr("image000"));
  ExpectField(Create(Request({good, "abc"})).status(), StatusCode::kInvalidArgument,
              "dataset.shards[1].sha256");
  ExpectField(Create(Request({good, good})).status(), StatusCode::kInvalidArgument,
              "dataset.shards[1].sha256");
  ExpectField(Create(Request({good, std::string(64, 'a')})).status(),
              StatusCode::kFailedPrecondition, "dataset.shards[1].sha256");
  options_.limits.max_shard_bytes = 1000;
  Open();
  ExpectField(Create(Request({good})).status(), StatusCode::kResourceExhausted,
              "dataset.shards[0].size_bytes");
  EXPECT_EQ(service_->datasets().List({})->datasets_size(), 0);
}

TEST_F(DatasetsTest, RepeatingARequestReturnsWhatItMade) {
  haq::v1::CreateDatasetRequest request = Request({UploadBlob(*service_, MakeShard(3, 3))});
  request.set_request_id("once");
  const auto first = Create(request);
  const auto again = Create(request);
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(first->SerializeAsString(), again->SerializeAsString());
}

TEST_F(DatasetsTest, ADatasetInUseIsKeptUnlessForced) {
  PushModel(*service_);
  PushDataset(*service_, "cal", 1);
  PushDataset(*service_, "eval", 2);
  const auto queued = service_->calibration_jobs().Create(JobRequest());
  ASSERT_TRUE(queued.ok());
  const auto other = service_->calibration_jobs().Create(JobRequest());
  ASSERT_TRUE(service_->queue().Acquire("w", false).ok());  // runs the first
  haq::v1::DeleteDatasetRequest request;
  request.set_name("datasets/eval");
  Status status = service_->datasets().Delete(request);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            "datasets/eval is used by jobs/1, jobs/2; cancel them, or delete with force");
  request.set_force(true);
  ASSERT_TRUE(service_->datasets().Delete(request).ok());
  haq::v1::GetJobRequest get;
  for (const auto& [name, state] :
       {std::pair(queued->name(), "running"), std::pair(other->name(), "queued")}) {
    get.set_name(name);
    const auto job = service_->calibration_jobs().Get(get);
    ASSERT_TRUE(job.ok());
    EXPECT_EQ(job->state(), haq::v1::FAILED);
    EXPECT_EQ(job->error_code(), "FAILED_PRECONDITION");
    EXPECT_EQ(job->error(), fmt::format("datasets/eval was deleted while the job was {}", state));
  }
  EXPECT_EQ(service_->datasets().Delete(request).code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace haq::test
