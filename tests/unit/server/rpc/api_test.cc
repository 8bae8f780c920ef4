// The public services over the wire: uploads, resources, downloads, and every kind of wrong input.
#include <grpcpp/generic/generic_stub.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "rpc_fixture.h"

namespace haq::test {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;

class ApiTest : public RpcTest {
 protected:
  grpc::Status StartUpload(const std::string& sha256, int64_t size, haq::v1::Upload* upload) {
    haq::v1::StartUploadRequest request;
    request.set_sha256(sha256);
    request.set_size_bytes(size);
    return Call(blobs_, &haq::v1::BlobService::Stub::StartUpload, request, upload);
  }

  // Sends bytes[from, to) in messages of 64 KiB.
  grpc::Status WriteUpload(const std::string& sha256, const std::string& bytes, int64_t from,
                           int64_t to, haq::v1::Upload* upload) {
    grpc::ClientContext context;
    auto writer = blobs_->WriteUpload(&context, upload);
    haq::v1::WriteUploadRequest request;
    request.set_sha256(sha256);
    for (int64_t at = from; at < to; at += 65536) {
      request.set_offset(at);
      request.set_data(bytes.substr(at, std::min<int64_t>(65536, to - at)));
      if (!writer->Write(request)) break;
      request.clear_sha256();
    }
    writer->WritesDone();
    return writer->Finish();
  }

  haq::v1::CreateModelRequest ModelRequest(const std::string& id) {
    haq::v1::CreateModelRequest request;
    request.set_model_id(id);
    request.mutable_model()->set_sha256(UploadBlob(*service_, MakeTorchScript()));
    for (const int64_t dimension : {3, 8, 8}) request.mutable_model()->add_input_shape(dimension);
    return request;
  }

  grpc::Status CreateModel(const haq::v1::CreateModelRequest& request, haq::v1::Model* model) {
    return Call(models_, &haq::v1::ModelService::Stub::CreateModel, request, model);
  }

  // The one field that the details name.
  static std::string FieldOf(const grpc::Status& status) {
    google::rpc::Status details;
    google::rpc::BadRequest bad_request;
    if (!details.ParseFromString(status.error_details()) || details.details_size() != 1 ||
        !details.details(0).UnpackTo(&bad_request) || bad_request.field_violations_size() != 1) {
      return "(no field)";
    }
    return bad_request.field_violations(0).field();
  }
};

TEST_F(ApiTest, AnUploadContinuesWhereItBrokeOffAlsoOverARestart) {
  std::string bytes(1'000'000, 'x');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * i >> 7);
  const std::string sha256 = Sha256Hex(bytes);
  haq::v1::Upload upload;
  ASSERT_TRUE(StartUpload(sha256, 1'000'000, &upload).ok());
  EXPECT_EQ(upload.committed_bytes(), 0);
  ASSERT_TRUE(WriteUpload(sha256, bytes, 0, 300'000, &upload).ok());
  EXPECT_EQ(upload.committed_bytes(), 300'000);
  EXPECT_FALSE(upload.complete());
  StopServer();
  StartServer();
  ASSERT_TRUE(StartUpload(sha256, 1'000'000, &upload).ok());
  EXPECT_EQ(upload.committed_bytes(), 300'000);
  grpc::Status status = WriteUpload(sha256, bytes, 200'000, 1'000'000, &upload);
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("offset: 200000 is not the next one"));
  ASSERT_TRUE(WriteUpload(sha256, bytes, 300'000, 1'000'000, &upload).ok());
  EXPECT_TRUE(upload.complete());
  ASSERT_TRUE(StartUpload(sha256, 1'000'000, &upload).ok());
  EXPECT_TRUE(upload.complete()) << "what the server has is not sent again";
}

TEST_F(ApiTest, UploadsThatCannotBe) {
  haq::v1::Upload upload;
  grpc::Status status = StartUpload(std::string(64, 'a'), int64_t{10} << 30, &upload);
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(),
            "size_bytes: 10737418240 is over the limit of 2147483648 bytes");
  EXPECT_EQ(FieldOf(status), "size_bytes");
  status = StartUpload("../../etc/passwd", 5, &upload);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "sha256");
  EXPECT_EQ(StartUpload(std::string(64, 'a'), 0, &upload).error_code(),
            StatusCode::INVALID_ARGUMENT);
  status = WriteUpload(std::string(64, 'b'), "data", 0, 4, &upload);
  EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);

  const std::string lie = Sha256Hex("something else");
  ASSERT_TRUE(StartUpload(lie, 4, &upload).ok());
  status = WriteUpload(lie, "data", 0, 4, &upload);
  EXPECT_EQ(status.error_code(), StatusCode::DATA_LOSS);
  ASSERT_TRUE(StartUpload(lie, 4, &upload).ok());
  EXPECT_EQ(upload.committed_bytes(), 0) << "the upload was dropped";
  status = WriteUpload(lie, "more data", 0, 9, &upload);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("beyond the size"));

  {
    grpc::ClientContext context;
    auto writer = blobs_->WriteUpload(&context, &upload);
    writer->WritesDone();
    EXPECT_EQ(writer->Finish().error_code(), StatusCode::INVALID_ARGUMENT);
  }
  const std::string large = Sha256Hex("large");
  ASSERT_TRUE(StartUpload(large, 10 << 20, &upload).ok());
  grpc::ClientContext context;
  auto writer = blobs_->WriteUpload(&context, &upload);
  haq::v1::WriteUploadRequest request;
  request.set_sha256(large);
  request.set_data(std::string((1 << 20) + 1, 'x'));
  writer->Write(request);
  writer->WritesDone();
  status = writer->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "data");
}

TEST_F(ApiTest, BlobsCanBeReadAgain) {
  const std::string bytes = MakeTorchScript();
  const std::string sha256 = UploadBlob(*service_, bytes);
  const auto read = [&](const std::string& name, int64_t offset, std::string* all) {
    grpc::ClientContext context;
    haq::v1::ReadBlobRequest request;
    request.set_sha256(name);
    request.set_offset(offset);
    auto reader = blobs_->ReadBlob(&context, request);
    haq::v1::ReadBlobResponse part;
    all->clear();
    while (reader->Read(&part)) {
      EXPECT_EQ(part.offset(), offset + static_cast<int64_t>(all->size()));
      *all += part.data();
    }
    return reader->Finish();
  };
  std::string all;
  ASSERT_TRUE(read(sha256, 0, &all).ok());
  EXPECT_EQ(all, bytes);
  ASSERT_TRUE(read(sha256, 10, &all).ok());
  EXPECT_EQ(all, bytes.substr(10));
  ASSERT_TRUE(read(sha256, static_cast<int64_t>(bytes.size()), &all).ok());
  EXPECT_EQ(all, "");
  grpc::Status status = read(sha256, static_cast<int64_t>(bytes.size()) + 1, &all);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "offset");
  EXPECT_EQ(read(std::string(64, 'c'), 0, &all).error_code(), StatusCode::NOT_FOUND);
  status = read("../../etc/passwd", 0, &all);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "sha256");
}

TEST_F(ApiTest, ModelsComeAndGo) {
  haq::v1::CreateModelRequest request = ModelRequest("net_1.a-b");
  request.mutable_model()->set_preprocess_json(R"({"scale": 0.5})");
  haq::v1::Model model;
  ASSERT_TRUE(CreateModel(request, &model).ok());
  EXPECT_EQ(model.name(), "models/net_1.a-b");
  EXPECT_EQ(model.format(), "torchscript");
  EXPECT_EQ(model.size_bytes(), static_cast<int64_t>(MakeTorchScript().size()));
  EXPECT_EQ(model.preprocess_json(), R"({"scale": 0.5})");
  grpc::Status status = CreateModel(request, &model);
  EXPECT_EQ(status.error_code(), StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(status.error_message(), "models/net_1.a-b exists already");
  haq::v1::DeleteModelRequest gone;
  gone.set_name("models/net_1.a-b");
  google::protobuf::Empty empty;
  EXPECT_TRUE(Call(models_, &haq::v1::ModelService::Stub::DeleteModel, gone, &empty).ok());
  status = Call(models_, &haq::v1::ModelService::Stub::DeleteModel, gone, &empty);
  EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "models/net_1.a-b does not exist");
  status = CreateModel(request, &model);
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION) << "its file went with it";
  EXPECT_EQ(FieldOf(status), "model.sha256");
}

TEST_F(ApiTest, DetailsOfAFailureCrossTheWire) {
  haq::v1::CreateModelRequest request = ModelRequest("m");
  request.mutable_model()->add_input_shape(4);
  haq::v1::Model model;
  const grpc::Status status = CreateModel(request, &model);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "model.input_shape");
  EXPECT_THAT(status.error_message(), testing::StartsWith("model.input_shape: must be three"));
}

TEST_F(ApiTest, ArtifactsAreDownloadedFromAnyOffset) {
  PushInputs();
  CreateJob();
  const std::string name = RunJob(3);
  const std::string bytes = MakeArtifact(3);
  haq::v1::GetArtifactRequest get;
  get.set_name("models/m");
  haq::v1::Artifact artifact;
  ASSERT_TRUE(Call(artifacts_, &haq::v1::ArtifactService::Stub::GetArtifact, get, &artifact).ok());
  EXPECT_EQ(artifact.name(), name);
  EXPECT_EQ(artifact.job(), "jobs/1");
  EXPECT_EQ(artifact.sha256(), Sha256Hex(bytes));
  EXPECT_EQ(artifact.report_json(), R"({"images": 6})");
  for (const int64_t offset : {int64_t{0}, int64_t{100}, static_cast<int64_t>(bytes.size())}) {
    haq::v1::DownloadArtifactRequest request;
    request.set_name(name);
    request.set_offset(offset);
    grpc::ClientContext context;
    auto reader = artifacts_->DownloadArtifact(&context, request);
    haq::v1::DownloadArtifactResponse part;
    std::string got;
    ASSERT_TRUE(reader->Read(&part));
    EXPECT_EQ(part.sha256(), Sha256Hex(bytes));
    EXPECT_EQ(part.size_bytes(), static_cast<int64_t>(bytes.size()));
    do {
      EXPECT_EQ(part.offset(), offset + static_cast<int64_t>(got.size()));
      got += part.data();
    } while (reader->Read(&part));
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_EQ(got, bytes.substr(offset));
  }
  haq::v1::DownloadArtifactRequest request;
  request.set_name("models/m/versions/9");
  grpc::ClientContext context;
  auto reader = artifacts_->DownloadArtifact(&context, request);
  haq::v1::DownloadArtifactResponse part;
  EXPECT_FALSE(reader->Read(&part));
  EXPECT_EQ(reader->Finish().error_code(), StatusCode::NOT_FOUND);
}

TEST_F(ApiTest, JobsOverTheWire) {
  PushInputs();
  haq::v1::CreateJobRequest request = JobRequest();
  request.mutable_spec()->set_method("magic");
  haq::v1::Job job;
  const grpc::Status status = Call(jobs_, &haq::v1::JobService::Stub::CreateJob, request, &job);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(),
            "spec.method: unknown method \"magic\"; allowed are redistribution, minmax, "
            "moving_minmax, histogram, percentile, kl");
  EXPECT_EQ(FieldOf(status), "spec.method");
  for (int i = 0; i < 3; ++i) CreateJob();
  haq::v1::ListJobsRequest list;
  list.set_page_size(2);
  haq::v1::ListJobsResponse page;
  ASSERT_TRUE(Call(jobs_, &haq::v1::JobService::Stub::ListJobs, list, &page).ok());
  ASSERT_EQ(page.jobs_size(), 2);
  EXPECT_EQ(page.jobs(0).name(), "jobs/3");
  list.set_page_token(page.next_page_token());
  ASSERT_TRUE(Call(jobs_, &haq::v1::JobService::Stub::ListJobs, list, &page).ok());
  ASSERT_EQ(page.jobs_size(), 1);
  EXPECT_EQ(page.jobs(0).name(), "jobs/1");
  EXPECT_TRUE(page.next_page_token().empty());
}

TEST_F(ApiTest, DatasetsOverTheWire) {
  haq::v1::CreateDatasetRequest request;
  request.set_dataset_id("d");
  request.mutable_dataset()->add_shards()->set_sha256(UploadBlob(*service_, MakeShard(5, 2)));
  haq::v1::Dataset dataset;
  ASSERT_TRUE(
      Call(datasets_, &haq::v1::DatasetService::Stub::CreateDataset, request, &dataset).ok());
  EXPECT_EQ(dataset.images(), 5);
  EXPECT_TRUE(dataset.labelled());
  EXPECT_EQ(dataset.max_label(), 1);
  haq::v1::GetDatasetRequest get;
  get.set_name("datasets/d");
  haq::v1::Dataset found;
  ASSERT_TRUE(Call(datasets_, &haq::v1::DatasetService::Stub::GetDataset, get, &found).ok());
  EXPECT_EQ(found.SerializeAsString(), dataset.SerializeAsString());
  haq::v1::DeleteDatasetRequest gone;
  gone.set_name("datasets/d");
  google::protobuf::Empty empty;
  EXPECT_TRUE(Call(datasets_, &haq::v1::DatasetService::Stub::DeleteDataset, gone, &empty).ok());
  const grpc::Status status =
      Call(datasets_, &haq::v1::DatasetService::Stub::GetDataset, get, &found);
  EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "datasets/d does not exist");
}

// Any generic client finds these two: their methods answer, whatever they say.
TEST_F(ApiTest, HealthAndReflectionAreServed) {
  const auto channel = grpc::CreateChannel(fmt::format("127.0.0.1:{}", server_->port()),
                                           grpc::InsecureChannelCredentials());
  grpc::GenericStub stub(channel);
  const auto call = [&](const std::string& method) {
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    grpc::Slice nothing;
    grpc::ByteBuffer request(&nothing, 1), response;
    grpc::Status status;
    auto pending = stub.PrepareUnaryCall(&context, method, request, &queue);
    pending->StartCall();
    pending->Finish(&response, &status, nullptr);
    void* tag;
    bool ok;
    queue.Next(&tag, &ok);
    return status;
  };
  const grpc::Status health = call("/grpc.health.v1.Health/Check");
  EXPECT_TRUE(health.ok()) << health.error_code() << " " << health.error_message();
  EXPECT_NE(call("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo").error_code(),
            StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(call("/no.such.Service/Method").error_code(), StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(call("/haq.internal.v1.WorkerService/LeaseJob").error_code(), StatusCode::UNIMPLEMENTED)
      << "workers are not served on the public port";
}

}  // namespace
}  // namespace haq::test
