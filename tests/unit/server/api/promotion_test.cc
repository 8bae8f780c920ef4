#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "haq/internal/v1/worker.pb.h"
#include "service_fixture.h"

namespace haq::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
namespace pb = haq::internal::v1;

class PromotionTest : public ServiceTest {
 protected:
  PromotionTest() {
    PushModel(*service_);
    PushDataset(*service_, "cal", 1);
    PushDataset(*service_, "eval", 2);
  }
  // A job as a worker would do it.
  haq::v1::Job MakeVersion(const haq::v1::CalibrationSpec& limits = {}, double int8_top1 = 0.8,
                           double int8_ms = 1) {
    haq::v1::CreateJobRequest request = JobRequest();
    request.mutable_spec()->MergeFrom(limits);
    EXPECT_TRUE(service_->calibration_jobs().Create(request).ok());
    const auto leased = service_->queue().Acquire("w", true).value();
    const std::string artifact = MakeArtifact(++salt_);
    pb::Lease lease;
    lease.set_job("jobs/" + std::to_string(leased->lease.job));
    lease.set_token(leased->lease.token);
    pb::WriteArtifactRequest first;
    *first.mutable_lease() = lease;
    first.set_sha256(Sha256Hex(artifact));
    first.set_size_bytes(static_cast<int64_t>(artifact.size()));
    auto upload = service_->workers().StartArtifact(first).value();
    EXPECT_TRUE(
        upload->Write({reinterpret_cast<const uint8_t*>(artifact.data()), artifact.size()}).ok());
    EXPECT_TRUE(service_->workers().Finish(*upload).ok());
    pb::CompleteJobRequest complete;
    *complete.mutable_lease() = lease;
    complete.set_artifact_sha256(first.sha256());
    complete.set_report_json(fmt::format(R"({{"fp32": {{"top1": 0.8}}, "int8": {{"top1": {}}},)"
                                         R"( "speed": {{"int8_ms": {}, "fp32_ms": 2.5}}}})",
                                         int8_top1, int8_ms));
    const auto completed = service_->workers().Complete(complete);
    EXPECT_TRUE(completed.ok()) << completed.status().ToString();
    haq::v1::GetJobRequest get;
    get.set_name(lease.job());
    return *service_->calibration_jobs().Get(get);
  }
  Result<haq::v1::Model> Promote(const std::string& name) {
    haq::v1::PromoteVersionRequest request;
    request.set_name(name);
    return service_->models().Promote(request);
  }
  Result<haq::v1::Model> Rollback(const std::string& name = "models/m") {
    haq::v1::RollbackModelRequest request;
    request.set_name(name);
    return service_->models().Rollback(request);
  }
  static haq::v1::CalibrationSpec MaxDrop(double points) {
    haq::v1::CalibrationSpec spec;
    spec.set_max_drop(points);
    return spec;
  }

  int salt_ = 0;
};

TEST_F(PromotionTest, AnyVersionIsServedAndTheOneBeforeComesBack) {
  MakeVersion();
  EXPECT_EQ(Rollback().status().code(), StatusCode::kFailedPrecondition);
  MakeVersion();
  MakeVersion();
  auto model = Promote("models/m/versions/1");
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  EXPECT_EQ(model->served_version(), "models/m/versions/1");
  EXPECT_EQ(model->previous_version(), "models/m/versions/3");
  EXPECT_EQ(Rollback()->served_version(), "models/m/versions/3");
  EXPECT_EQ(Rollback()->served_version(), "models/m/versions/1");
  EXPECT_EQ(Promote("models/m/versions/1")->previous_version(), "models/m/versions/3")
      << "what is served already does not become the one before";
  EXPECT_THAT(artifact_listener_.calls(), ElementsAre("m 1", "m 2", "m 3", "m 1", "m 3", "m 1"));
  EXPECT_EQ(artifact_listener_.figures().back().int8_top1, 0.8);
  Open();
  EXPECT_EQ(Rollback()->served_version(), "models/m/versions/3") << "it is stored";
}

TEST_F(PromotionTest, WhatIsNotThereIsNamed) {
  MakeVersion();
  EXPECT_EQ(Promote("models/m/versions/2").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Promote("models/x/versions/1").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Rollback("models/x").status().code(), StatusCode::kNotFound);
  ExpectField(Promote("models/m").status(), StatusCode::kInvalidArgument, "name");
  ExpectField(Rollback("m").status(), StatusCode::kInvalidArgument, "name");
}

TEST_F(PromotionTest, AVersionThatMissesItsLimitIsStoredAndNotServed) {
  MakeVersion();
  const haq::v1::Job job = MakeVersion(MaxDrop(0.5), 0.79);
  EXPECT_EQ(job.state(), haq::v1::SUCCEEDED);
  EXPECT_EQ(job.artifact(), "models/m/versions/2");
  EXPECT_THAT(job.report_json(), HasSubstr(R"("gate":{"passed":false)"));
  EXPECT_THAT(artifact_listener_.calls(), ElementsAre("m 1"));
  const auto events = service_->queue().Events(std::stoll(job.name().substr(5)), 0, 100).value();
  const auto& warning = events.events[events.events.size() - 2];
  EXPECT_EQ(warning.log().level(), "warning");
  EXPECT_EQ(warning.log().message(),
            "version 2 is not served: top-1 drops by 1.00 points, --max-drop allows 0.5");
  EXPECT_EQ(Promote("models/m/versions/2")->served_version(), "models/m/versions/2")
      << "who knows better may still serve it";

  EXPECT_THAT(MakeVersion(MaxDrop(1), 0.79).report_json(), HasSubstr(R"("gate":{"passed":true)"));
  EXPECT_THAT(artifact_listener_.calls(), ElementsAre("m 1", "m 2", "m 3"));
}

TEST_F(PromotionTest, AVersionThatIsSlowerThanFp32IsNotServedWhereThatWasAsked) {
  haq::v1::CalibrationSpec not_slower;
  not_slower.set_not_slower(true);
  MakeVersion(not_slower, 0.8, 2.5);
  EXPECT_TRUE(MakeVersion(not_slower, 0.8, 2.6).spec().not_slower());
  EXPECT_THAT(artifact_listener_.calls(), ElementsAre("m 1"));
  MakeVersion({}, 0.8, 2.6);
  EXPECT_THAT(artifact_listener_.calls(), ElementsAre("m 1", "m 3"));
}

TEST_F(PromotionTest, AFirstVersionThatMissesItsLimitIsNotServedEither) {
  MakeVersion(MaxDrop(0.5), 0.1);
  EXPECT_THAT(artifact_listener_.calls(), SizeIs(0));
  EXPECT_EQ(Promote("models/m/versions/1")->previous_version(), "");
}

}  // namespace
}  // namespace haq::test
