#include "server/api/models.h"

#include <functional>

#include "service_fixture.h"
#include "tests/support/onnx_model.h"

namespace haq::test {
namespace {

using testing::HasSubstr;

class ModelsTest : public ServiceTest {
 protected:
  haq::v1::CreateModelRequest Request(const std::string& id = "m") {
    haq::v1::CreateModelRequest request;
    request.set_model_id(id);
    request.mutable_model()->set_sha256(UploadBlob(*service_, MakeTorchScript()));
    for (const int64_t dimension : {3, 8, 8}) request.mutable_model()->add_input_shape(dimension);
    return request;
  }
  auto Create(const haq::v1::CreateModelRequest& request) {
    return service_->models().Create(request);
  }
};

TEST_F(ModelsTest, EveryFieldIsChecked) {
  const std::string oversized(70'000, ' ');
  const std::vector<std::pair<std::string, std::function<void(haq::v1::CreateModelRequest&)>>>
      cases{
          {"model_id", [](auto& r) { r.set_model_id("No Capitals"); }},
          {"model_id", [](auto& r) { r.set_model_id(""); }},
          {"model_id", [](auto& r) { r.set_model_id("../up"); }},
          {"model_id", [](auto& r) { r.set_model_id(std::string(65, 'a')); }},
          {"model.format", [](auto& r) { r.mutable_model()->set_format("onnx"); }},
          {"model.sha256", [](auto& r) { r.mutable_model()->set_sha256("abc"); }},
          {"model.input_shape", [](auto& r) { r.mutable_model()->clear_input_shape(); }},
          {"model.input_shape", [](auto& r) { r.mutable_model()->set_input_shape(1, 0); }},
          {"model.input_shape", [](auto& r) { r.mutable_model()->set_input_shape(2, -8); }},
          {"model.input_shape", [](auto& r) { r.mutable_model()->set_input_shape(0, 4); }},
          {"model.input_shape", [](auto& r) { r.mutable_model()->set_input_shape(1, INT64_MAX); }},
          {"model.preprocess_json",
           [](auto& r) { r.mutable_model()->set_preprocess_json("{\"sclae\": 1}"); }},
          {"model.preprocess_json", [](auto& r) { r.mutable_model()->set_preprocess_json("[1"); }},
          {"model.preprocess_json",
           [&](auto& r) { r.mutable_model()->set_preprocess_json(oversized); }},
          {"model.class_names[1]",
           [](auto& r) {
             r.mutable_model()->add_class_names("cat");
             r.mutable_model()->add_class_names(std::string(257, 'x'));
           }},
          {"request_id", [](auto& r) { r.set_request_id(std::string(129, 'x')); }}};
  for (const auto& [field, change] : cases) {
    haq::v1::CreateModelRequest request = Request();
    change(request);
    SCOPED_TRACE(request.ShortDebugString().substr(0, 200));
    ExpectField(Create(request).status(), StatusCode::kInvalidArgument, field);
  }
  EXPECT_EQ(service_->models().List({})->models_size(), 0);
  EXPECT_TRUE(Create(Request()).ok());
}

TEST_F(ModelsTest, FilesThatAreNoModel) {
  const std::string whole = MakeTorchScript();
  haq::v1::CreateModelRequest request = Request();
  request.mutable_model()->set_sha256(UploadBlob(*service_, whole.substr(0, whole.size() - 30)));
  Status status = Create(request).status();
  ExpectField(status, StatusCode::kInvalidArgument, "model");
  EXPECT_THAT(status.message(), HasSubstr("truncated"));
  request.mutable_model()->set_sha256(UploadBlob(*service_, "just some text"));
  status = Create(request).status();
  ExpectField(status, StatusCode::kInvalidArgument, "model");
  EXPECT_THAT(status.message(), HasSubstr("neither a TorchScript model"));
  request.mutable_model()->set_sha256(Sha256Hex("never uploaded"));
  status = Create(request).status();
  ExpectField(status, StatusCode::kFailedPrecondition, "model.sha256");
  EXPECT_EQ(service_->models().List({})->models_size(), 0);
}

std::string MakeOnnx(const std::vector<int64_t>& shape) {
  OnnxModel model(shape);
  model.Node("Relu", {"x"}, "y");
  const std::vector<uint8_t> bytes = model.Bytes();
  return {bytes.begin(), bytes.end()};
}

TEST_F(ModelsTest, AnOnnxFileIsToldByItsBytesAndHasItsShape) {
  haq::v1::CreateModelRequest request = Request();
  request.mutable_model()->set_sha256(UploadBlob(*service_, MakeOnnx({-1, 3, 4, 5})));
  request.mutable_model()->clear_input_shape();
  const auto model = Create(request);
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  EXPECT_EQ(model->format(), "onnx");
  EXPECT_THAT(model->input_shape(), testing::ElementsAre(3, 4, 5));
}

TEST_F(ModelsTest, AnOnnxFileWithoutNumbersNeedsAShape) {
  haq::v1::CreateModelRequest request = Request();
  request.mutable_model()->set_sha256(UploadBlob(*service_, MakeOnnx({-1, 3, -1, 5})));
  request.mutable_model()->clear_input_shape();
  const Status status = Create(request).status();
  ExpectField(status, StatusCode::kInvalidArgument, "model.input_shape");
  EXPECT_THAT(status.message(), HasSubstr("dimension 2"));
  request = Request();
  request.mutable_model()->set_sha256(UploadBlob(*service_, MakeOnnx({-1, 3, -1, 5})));
  EXPECT_TRUE(Create(request).ok());
}

TEST_F(ModelsTest, AFormatThatTheFileHasNot) {
  haq::v1::CreateModelRequest request = Request();
  request.mutable_model()->set_format("onnx");
  const Status status = Create(request).status();
  ExpectField(status, StatusCode::kInvalidArgument, "model.format");
  EXPECT_THAT(status.message(), HasSubstr("the file is torchscript"));
}

TEST_F(ModelsTest, RepeatingARequestReturnsWhatItMade) {
  haq::v1::CreateModelRequest request = Request();
  request.set_request_id("once");
  const auto first = Create(request);
  ASSERT_TRUE(first.ok());
  clock_.AdvanceMs(1000);
  Open();
  const auto again = Create(request);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
  request.set_model_id("other");
  ExpectField(Create(request).status(), StatusCode::kInvalidArgument, "request_id");
  request = Request();
  EXPECT_EQ(Create(request).status().code(), StatusCode::kAlreadyExists);
  haq::v1::DeleteModelRequest gone;
  gone.set_name("models/m");
  ASSERT_TRUE(service_->models().Delete(gone).ok());
  request = Request();
  request.set_request_id("once");
  EXPECT_EQ(Create(request).status().code(), StatusCode::kNotFound);
}

TEST_F(ModelsTest, PagesCoverTheListOnce) {
  for (const char* id : {"e", "a", "d", "b", "c"}) ASSERT_TRUE(Create(Request(id)).ok());
  haq::v1::ListModelsRequest request;
  request.set_page_size(2);
  std::string names;
  int pages = 0;
  do {
    const auto page = service_->models().List(request);
    ASSERT_TRUE(page.ok());
    for (const auto& model : page->models()) names += model.name().substr(7);
    request.set_page_token(page->next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(names, "abcde");
  EXPECT_EQ(pages, 3);
  request.set_page_token("deadbeef");
  ExpectField(service_->models().List(request).status(), StatusCode::kInvalidArgument,
              "page_token");
  request.clear_page_token();
  request.set_page_size(-1);
  ExpectField(service_->models().List(request).status(), StatusCode::kInvalidArgument, "page_size");
}

TEST_F(ModelsTest, BlobsGoWithTheirLastUser) {
  ASSERT_TRUE(Create(Request("a")).ok());
  ASSERT_TRUE(Create(Request("b")).ok());
  EXPECT_EQ(CountBlobs(), 1);
  haq::v1::DeleteModelRequest gone;
  gone.set_name("models/a");
  ASSERT_TRUE(service_->models().Delete(gone).ok());
  EXPECT_EQ(CountBlobs(), 1);
  gone.set_name("models/b");
  ASSERT_TRUE(service_->models().Delete(gone).ok());
  EXPECT_EQ(CountBlobs(), 0);
  EXPECT_EQ(artifact_listener_.calls(), (std::vector<std::string>{"-a", "-b"}));
}

TEST_F(ModelsTest, LimitsOnNumberAndSize) {
  options_.limits.max_models = 1;
  options_.limits.max_model_bytes = 10;
  Open();
  Status status = Create(Request()).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("size_bytes"));
  options_.limits.max_model_bytes = 10'000;
  Open();
  ASSERT_TRUE(Create(Request("a")).ok());
  status = Create(Request("b")).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace haq::test
