#include <functional>

#include "server/api/calibration_jobs.h"
#include "service_fixture.h"

namespace haq::test {
namespace {

using testing::HasSubstr;

class JobsTest : public ServiceTest {
 protected:
  JobsTest() {
    PushModel(*service_, "m", {"a", "b", "c"});
    PushDataset(*service_, "cal", 1, std::nullopt);  // calibration needs no labels
    PushDataset(*service_, "eval", 2);
  }
  auto Create(const haq::v1::CreateJobRequest& request) {
    return service_->calibration_jobs().Create(request);
  }
};

TEST_F(JobsTest, EveryFieldIsChecked) {
  using Request = haq::v1::CreateJobRequest;
  struct Case {
    std::string field;
    StatusCode code;
    std::function<void(Request&)> change;
    std::string message;
  };
  const StatusCode invalid = StatusCode::kInvalidArgument, missing = StatusCode::kNotFound;
  const std::vector<Case> cases{
      {"spec.model", invalid, [](Request& r) { r.mutable_spec()->set_model("m"); }, "models/{id}"},
      {"spec.model", invalid, [](Request& r) { r.mutable_spec()->clear_model(); }, "models/{id}"},
      {"spec.model", missing, [](Request& r) { r.mutable_spec()->set_model("models/x"); },
       "models/x does not exist"},
      {"spec.calibration_dataset", missing,
       [](Request& r) { r.mutable_spec()->set_calibration_dataset("datasets/x"); },
       "datasets/x does not exist"},
      {"spec.evaluation_dataset", missing,
       [](Request& r) { r.mutable_spec()->set_evaluation_dataset("datasets/x"); },
       "datasets/x does not exist"},
      {"spec.evaluation_dataset", invalid,
       [](Request& r) { r.mutable_spec()->set_evaluation_dataset("datasets/cal"); },
       "without label"},
      {"spec.method", invalid, [](Request& r) { r.mutable_spec()->set_method("magic"); },
       "unknown method \"magic\"; allowed are redistribution, minmax"},
      {"spec.scheme", invalid, [](Request& r) { r.mutable_spec()->set_scheme("odd"); },
       "allowed are hybrid, symmetric, asymmetric"},
      {"spec.weights", invalid, [](Request& r) { r.mutable_spec()->set_weights("per_row"); },
       "allowed are per_channel, per_tensor"},
      {"spec.preset", invalid, [](Request& r) { r.mutable_spec()->set_preset("slow"); },
       "unknown preset \"slow\"; allowed are fast, best"},
      {"spec.wide_count", invalid, [](Request& r) { r.mutable_spec()->set_wide_count(-1); },
       "must be 0 (none) to 1000, found -1"},
      {"spec.wide_count", invalid, [](Request& r) { r.mutable_spec()->set_wide_count(1001); },
       "must be 0 (none) to 1000, found 1001"},
      {"spec.wide_tensors[0]", invalid, [](Request& r) { r.mutable_spec()->add_wide_tensors(""); },
       "must not be empty"},
      {"spec.wide_tensors", invalid,
       [](Request& r) {
         r.mutable_spec()->set_wide_count(1);
         r.mutable_spec()->add_wide_tensors("conv1");
       },
       "must be empty when wide_count is not 0"},
      {"spec.limit_calibration", invalid,
       [](Request& r) { r.mutable_spec()->set_limit_calibration(-1); }, "negative"},
      {"spec.limit_evaluation", invalid,
       [](Request& r) { r.mutable_spec()->set_limit_evaluation(-1); }, "negative"}};
  for (const Case& each : cases) {
    Request request = JobRequest();
    each.change(request);
    SCOPED_TRACE(request.ShortDebugString());
    const Status status = Create(request).status();
    ExpectField(status, each.code, each.field);
    EXPECT_THAT(status.message(), HasSubstr(each.message));
  }
  EXPECT_EQ(service_->calibration_jobs().List({})->jobs_size(), 0);
  EXPECT_TRUE(Create(JobRequest()).ok());
}

TEST_F(JobsTest, LabelsOutOfTheModelsRange) {
  PushDataset(*service_, "wide", 3, 6);
  haq::v1::CreateJobRequest request = JobRequest();
  request.mutable_spec()->set_evaluation_dataset("datasets/wide");
  const Status status = Create(request).status();
  ExpectField(status, StatusCode::kInvalidArgument, "spec.evaluation_dataset");
  EXPECT_THAT(status.message(),
              HasSubstr("datasets/wide has the label 5, but models/m names 3 classes"));
}

TEST_F(JobsTest, RepeatingARequestReturnsWhatItMade) {
  haq::v1::CreateJobRequest request = JobRequest();
  request.set_request_id("once");
  const auto first = Create(request);
  const auto again = Create(request);
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(first->name(), again->name());
  request.mutable_spec()->set_scheme("symmetric");
  ExpectField(Create(request).status(), StatusCode::kInvalidArgument, "request_id");
  EXPECT_EQ(service_->calibration_jobs().List({})->jobs_size(), 1);
}

TEST_F(JobsTest, ListsByStateInPages) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Create(JobRequest()).ok());
  haq::v1::CancelJobRequest cancel;
  cancel.set_name("jobs/4");
  ASSERT_TRUE(service_->calibration_jobs().Cancel(cancel).ok());
  haq::v1::ListJobsRequest request;
  request.set_page_size(3);
  request.set_state(haq::v1::QUEUED);
  auto page = service_->calibration_jobs().List(request);
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->jobs_size(), 3);
  EXPECT_EQ(page->jobs(0).name(), "jobs/5");
  EXPECT_EQ(page->jobs(2).name(), "jobs/2");
  request.set_page_token(page->next_page_token());
  page = service_->calibration_jobs().List(request);
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->jobs_size(), 1);
  EXPECT_TRUE(page->next_page_token().empty());
  request.set_state(haq::v1::CANCELLED);
  ExpectField(service_->calibration_jobs().List(request).status(), StatusCode::kInvalidArgument,
              "page_token");
}

TEST_F(JobsTest, NamesOfJobs) {
  haq::v1::GetJobRequest request;
  request.set_name("jobs/12");
  Status status = service_->calibration_jobs().Get(request).status();
  EXPECT_EQ(status.ToString(), "NOT_FOUND: jobs/12 does not exist");
  for (const char* name :
       {"12", "jobs/", "jobs/01", "jobs/-1", "jobs/1x", "jobs/0", "jobs/99999999999999999999"}) {
    request.set_name(name);
    ExpectField(service_->calibration_jobs().Get(request).status(), StatusCode::kInvalidArgument,
                "name");
  }
}

TEST_F(JobsTest, DeletingTheModelOfAJob) {
  ASSERT_TRUE(Create(JobRequest()).ok());
  haq::v1::DeleteModelRequest request;
  request.set_name("models/m");
  EXPECT_EQ(service_->models().Delete(request).code(), StatusCode::kFailedPrecondition);
  request.set_force(true);
  ASSERT_TRUE(service_->models().Delete(request).ok());
  haq::v1::GetJobRequest get;
  get.set_name("jobs/1");
  EXPECT_EQ(service_->calibration_jobs().Get(get)->error(),
            "models/m was deleted while the job was queued");
}

}  // namespace
}  // namespace haq::test
