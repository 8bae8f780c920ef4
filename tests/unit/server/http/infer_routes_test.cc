#include "server/http/infer_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "server/http/gzip.h"
#include "server/http/routes.h"
#include "tests/unit/server/serving/test_model.h"

namespace haq::server::http {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr char kInfer[] = "/v2/models/small/infer";

std::string RawFloats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::vector<float> FromRaw(std::string_view raw) {
  std::vector<float> values(raw.size() / sizeof(float));
  std::memcpy(values.data(), raw.data(), raw.size());
  return values;
}

class InferRoutesTest : public ::testing::Test {
 protected:
  InferRoutesTest() {
    loader_.OnVersionRegistered("small", 3, folder_.Save(model_, "a.haq"));
    while (!loader_.Idle()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  Response Call(const std::string& method, const std::string& path, std::string body = "",
                std::map<std::string, std::string, std::less<>> headers = {}) {
    const auto match = router_.Find(method, path);
    if (match.handler == nullptr) return match.error;
    Request request;
    request.parameters = match.parameters;
    request.body = std::move(body);
    request.content_type = headers["content-type"];
    request.headers = std::move(headers);
    request.on_abort = [this](std::function<void()> callback) { abort_ = std::move(callback); };
    std::promise<Response> promise;
    (*match.handler)(std::move(request),
                     [&](Response response) { promise.set_value(std::move(response)); });
    if (on_started_) on_started_();
    return promise.get_future().get();
  }
  Response Post(const json& body) { return Call("POST", kInfer, body.dump()); }
  void ExpectError(const Response& response, int status, const std::string& message) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_THAT(json::parse(response.body).at("error").get<std::string>(), HasSubstr(message));
  }
  void ExpectInvalid(const json& body, const std::string& message) {
    ExpectError(Post(body), 400, message);
  }
  static json Input(const std::string& datatype, std::vector<int64_t> shape, const json& data) {
    return {{"name", "input"}, {"datatype", datatype}, {"shape", std::move(shape)}, {"data", data}};
  }
  json Floats() const { return {{"inputs", {Input("FP32", {3, 3, 8, 8}, inputs_)}}}; }
  // Floats() without data, and what goes behind it.
  static json BinaryFloats(size_t size) {
    json input = Input("FP32", {3, 3, 8, 8}, nullptr);
    input.erase("data");
    input["parameters"] = {{"binary_data_size", size}};
    return {{"inputs", {input}}};
  }
  Response PostBinary(const json& body, const std::string& tail, const std::string& length = "") {
    const std::string text = body.dump();
    return Call("POST", kInfer, text + tail,
                {{"inference-header-content-length",
                  length.empty() ? std::to_string(text.size()) : length}});
  }
  static std::vector<float> DataOf(const Response& response) {
    return json::parse(response.body).at("outputs").at(0).at("data").get<std::vector<float>>();
  }
  static std::string Header(const Response& response, const std::string& name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return "";
  }

  const artifact::Model model_ = test::SmallModel(1);
  const std::vector<float> inputs_ = test::SmallInputs(3);
  const std::vector<float> expected_ = test::DirectAnswers(model_, inputs_);
  test::ModelFolder folder_;
  metrics::Metrics metrics_;
  const serving::Settings settings_{.threads = 2, .max_batch = 40};
  serving::Repository repository_{settings_, metrics_};
  serving::Engine engine_{settings_, repository_, metrics_};
  serving::Loader loader_{repository_, engine_};
  Router router_ =
      InferenceRoutes({engine_, repository_, loader_, metrics_, [] { return true; }, 100'000});
  std::function<void()> abort_, on_started_;
};

TEST_F(InferRoutesTest, JsonInJsonOut) {
  json body = Floats();
  body["id"] = "the \"id\"";
  const Response response = Post(body);
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.content_type, "application/json");
  const json answer = json::parse(response.body);
  EXPECT_EQ(answer.at("model_name"), "small");
  EXPECT_EQ(answer.at("model_version"), "3");
  EXPECT_EQ(answer.at("id"), "the \"id\"");
  const json& output = answer.at("outputs").at(0);
  EXPECT_EQ(output.at("name"), "output");
  EXPECT_EQ(output.at("datatype"), "FP32");
  EXPECT_EQ(output.at("shape"), (json{3, 5}));
  EXPECT_EQ(output.at("data").get<std::vector<float>>(), expected_);
  EXPECT_FALSE(json::parse(Post(Floats()).body).contains("id"));
}

TEST_F(InferRoutesTest, NestedDataIsTheSame) {
  json nested = json::array();
  for (size_t i = 0; i < 3; ++i) {
    nested.push_back(json(std::vector<float>(inputs_.begin() + static_cast<long>(i) * 192,
                                             inputs_.begin() + static_cast<long>(i + 1) * 192)));
  }
  const Response response = Post({{"inputs", {Input("FP32", {3, 3, 8, 8}, {nested})}}});
  EXPECT_EQ(json::parse(response.body).at("outputs").at(0).at("data").get<std::vector<float>>(),
            expected_);
}

TEST_F(InferRoutesTest, BinaryTensorsBothWays) {
  const std::string raw = RawFloats(inputs_);
  json body = BinaryFloats(raw.size());
  // Binary in, JSON out.
  EXPECT_EQ(DataOf(PostBinary(body, raw)), expected_);
  // Binary out, asked for by the request or by the output.
  for (const bool of_request : {true, false}) {
    json asking = body;
    if (of_request) {
      asking["parameters"] = {{"binary_data_output", true}};
    } else {
      asking["outputs"] = {{{"name", "output"}, {"parameters", {{"binary_data", true}}}}};
    }
    const Response response = PostBinary(asking, raw);
    ASSERT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(response.content_type, "application/octet-stream");
    const size_t length = std::stoul(Header(response, "Inference-Header-Content-Length"));
    const json answer = json::parse(response.body.substr(0, length));
    EXPECT_EQ(answer.at("outputs").at(0).at("parameters").at("binary_data_size"),
              expected_.size() * sizeof(float));
    EXPECT_EQ(FromRaw(std::string_view(response.body).substr(length)), expected_);
  }
  body["parameters"] = {{"binary_data_output", true}};
  body["outputs"] = {{{"name", "output"}, {"parameters", {{"binary_data", false}}}}};
  EXPECT_EQ(DataOf(PostBinary(body, raw)), expected_) << "the output's own wish counts";
}

TEST_F(InferRoutesTest, BinaryLengthsThatDisagreeAreNamed) {
  const std::string raw = RawFloats(inputs_);
  ExpectError(PostBinary(BinaryFloats(raw.size() + 1), raw), 400,
              "inputs[0].parameters.binary_data_size: is 2305, but only 2304 bytes follow");
  ExpectError(PostBinary(BinaryFloats(raw.size()), raw + "x"), 400,
              "1 bytes after its last binary tensor");
  ExpectError(PostBinary(BinaryFloats(4), raw.substr(0, 4)), 400,
              "raw_input_contents[0]: has 4 bytes; shape [3, 3, 8, 8] of FP32 takes 2304");
  for (const char* length : {"-1", "x", "12x", "99999999", "18446744073709551617"}) {
    ExpectError(PostBinary(BinaryFloats(raw.size()), raw, length), 400,
                "Inference-Header-Content-Length: '" + std::string(length) + "'");
  }
  json both = BinaryFloats(raw.size());
  both["inputs"][0]["data"] = {1};
  ExpectError(PostBinary(both, raw), 400, "inputs[0].data: must not be beside binary_data_size");
  for (const json& size :
       {json(-1), json(1.5), json("4"), json(nullptr), json(18446744073709551615u)}) {
    json wrong = BinaryFloats(0);
    wrong["inputs"][0]["parameters"]["binary_data_size"] = size;
    ExpectError(PostBinary(wrong, raw), 400, "inputs[0].parameters.binary_data_size: ");
  }
}

TEST_F(InferRoutesTest, ABodyThatIsOneSample) {
  const std::vector<float> one(inputs_.begin(), inputs_.begin() + test::kSmallInput);
  Response response =
      Call("POST", kInfer, RawFloats(one), {{"inference-header-content-length", "0"}});
  ASSERT_EQ(response.status, 200) << response.body;
  const std::vector<float> first(expected_.begin(), expected_.begin() + test::kSmallClasses);
  size_t length = std::stoul(Header(response, "Inference-Header-Content-Length"));
  EXPECT_EQ(json::parse(response.body.substr(0, length)).at("outputs").at(0).at("shape"),
            (json{1, 5}));
  EXPECT_EQ(FromRaw(std::string_view(response.body).substr(length)), first);

  const auto image = test::SmallPngs(1);
  response = Call("POST", kInfer, image[0],
                  {{"inference-header-content-length", "0"}, {"content-type", "image/png"}});
  length = std::stoul(Header(response, "Inference-Header-Content-Length"));
  EXPECT_EQ(FromRaw(std::string_view(response.body).substr(length)),
            test::DirectAnswers(model_, test::Preprocessed(model_, image)));
  ExpectError(Call("POST", kInfer, "xyz", {{"inference-header-content-length", "0"}}), 400,
              "has 3 bytes; shape [1, 3, 8, 8] of FP32 takes 768");
}

TEST_F(InferRoutesTest, CompressedBothWays) {
  const std::string text = Floats().dump();
  for (const char* encoding : {"gzip", "deflate"}) {
    const Response response = Call("POST", kInfer, Compress(encoding, text),
                                   {{"content-encoding", encoding}, {"accept-encoding", encoding}});
    EXPECT_EQ(response.status, 200) << response.body;
    // The answer is too small to be worth it.
    EXPECT_EQ(Header(response, "Content-Encoding"), "");
    EXPECT_EQ(DataOf(response), expected_);
  }
  const auto many = test::SmallInputs(40);
  json body = {{"inputs", {Input("FP32", {40, 3, 8, 8}, many)}}};
  body["outputs"] = {{{"name", "output"}, {"parameters", {{"classification", 5}}}}};
  const Response large = Call("POST", kInfer, body.dump(), {{"accept-encoding", "gzip"}});
  EXPECT_EQ(Header(large, "Content-Encoding"), "gzip");
  EXPECT_EQ(Header(large, "Vary"), "Accept-Encoding");
  EXPECT_EQ(json::parse(Decompress("gzip", large.body, 100'000).value())
                .at("outputs")
                .at(0)
                .at("data")
                .size(),
            200u);

  const std::string bomb = Compress("gzip", "{" + std::string(100'000, ' ') + "}");
  ExpectError(Call("POST", kInfer, bomb, {{"content-encoding", "gzip"}}), 413,
              "more than 100000 bytes once it is decompressed");
  ExpectError(Call("POST", kInfer, "x", {{"content-encoding", "br"}}), 415,
              "'br' is not supported");
  ExpectError(Call("POST", kInfer, "x", {{"content-encoding", "gzip"}}), 400, "not valid gzip");
}

TEST_F(InferRoutesTest, QuantizedTensorsAsNumbers) {
  std::vector<int> levels(192);
  for (size_t i = 0; i < levels.size(); ++i) levels[i] = static_cast<int>(i);
  const auto answer = [&](const json& input) {
    json body = {{"inputs", {input}}};
    body["outputs"] = {{{"name", "output"}, {"parameters", {{"datatype", "UINT8"}}}}};
    return json::parse(Post(body).body).at("outputs").at(0);
  };
  std::vector<int> shifted;
  for (const int level : levels) shifted.push_back(level - 128);
  const json a = answer(Input("UINT8", {1, 3, 8, 8}, levels));
  const json b = answer(Input("INT8", {1, 3, 8, 8}, shifted));
  EXPECT_EQ(a.at("datatype"), "UINT8");
  EXPECT_EQ(a.at("data").size(), 5u);
  EXPECT_EQ(a, b);
  for (const json& value : {json(256), json(-1), json(1.5), json(1e30)}) {
    auto wrong = json(levels);
    wrong[1] = value;
    ExpectInvalid({{"inputs", {Input("UINT8", {1, 3, 8, 8}, wrong)}}},
                  "inputs[0].data: value 1 is");
  }
}

TEST_F(InferRoutesTest, ImagesAsStringsAreRefusedWhenTheyAreNone) {
  ExpectInvalid({{"inputs", {Input("BYTES", {1}, {"no image"})}}}, "inputs[0]: image 0: ");
  ExpectInvalid({{"inputs", {Input("BYTES", {1}, {1})}}},
                "inputs[0].data: has numbers; BYTES takes");
  ExpectInvalid({{"inputs", {Input("FP32", {1, 3, 8, 8}, {"a"})}}},
                "has strings; FP32 takes numbers");
}

TEST_F(InferRoutesTest, WrongBodiesNameTheField) {
  ExpectError(Call("POST", kInfer, "{"), 400, "the request's JSON: byte 2");
  ExpectError(Call("POST", kInfer, ""), 400, "the request's JSON");
  ExpectInvalid(json::object(), "inputs: must be an array");
  ExpectInvalid({{"inputs", {1}}}, "inputs[0]: must be an object");
  ExpectInvalid({{"inputs", json::array()}}, "inputs: the model has one input");
  const auto without = [this](const char* name) {
    json body = Floats();
    body["inputs"][0].erase(name);
    return body;
  };
  ExpectInvalid(without("name"), "inputs[0].name: is missing");
  ExpectInvalid(without("datatype"), "inputs[0].datatype: is missing");
  ExpectInvalid(without("shape"), "inputs[0].shape: must be an array of integers");
  ExpectInvalid(without("data"), "inputs[0].data: must be an array");
  const auto with = [this](const json::json_pointer& at, const json& value) {
    json body = Floats();
    body[at] = value;
    return body;
  };
  using P = json::json_pointer;
  ExpectInvalid(with(P("/inputs/0/name"), 7), "inputs[0].name: must be a string, found 7");
  ExpectInvalid(with(P("/inputs/0/shape/1"), -3),
                "inputs[0].shape: must be an integer that is not");
  ExpectInvalid(with(P("/inputs/0/shape/0"), 4e18), "inputs[0].shape");
  ExpectError(Post(with(P("/inputs/0/shape/0"), 4'000'000'000'000'000'000)), 429, "--max-batch");
  ExpectInvalid(with(P("/inputs/0/data"), json::array()), "has 0 values; shape [3, 3, 8, 8]");
  ExpectInvalid(with(P("/inputs/0/parameters"), 1), "inputs[0].parameters: must be an object");
  ExpectInvalid(with(P("/inputs/0/parameters"), {{"shared_memory_region", "r"}}), "shared memory");
  ExpectInvalid(with(P("/id"), 1), "id: must be a string");
  ExpectInvalid(with(P("/parameters"), {{"priority", 9}}), "parameters.priority: is 9");
  ExpectInvalid(with(P("/parameters"), {{"timeout", "soon"}}), "parameters.timeout: must be");
  ExpectInvalid(with(P("/parameters"), {{"binary_data_output", 1}}), "must be true or false");
  ExpectInvalid(with(P("/outputs"), 1), "outputs: must be an array");
  ExpectInvalid(with(P("/outputs"), {{{"name", "logits"}}}), "outputs[0].name: the model has no");
  ExpectInvalid(
      with(P("/outputs"), {{{"name", "output"}, {"parameters", {{"classification", "x"}}}}}),
      "outputs[0].parameters.classification: must be an integer");
  EXPECT_EQ(Post(with(P("/outputs"), json::array())).status, 200);
}

TEST_F(InferRoutesTest, ModelsAndVersionsThatAreNotThere) {
  const std::string body = Floats().dump();
  EXPECT_EQ(Call("POST", "/v2/models/small/versions/3/infer", body).status, 200);
  ExpectError(Call("POST", "/v2/models/small/versions/4/infer", body), 404, "version '4'");
  ExpectError(Call("POST", "/v2/models/other/infer", body), 404, "no model 'other'");
  ExpectError(Call("GET", "/v2/models/other"), 404, "no model 'other'");
  EXPECT_THAT(metrics_.Scrape(),
              HasSubstr(R"(haq_inference_requests_total{code="NOT_FOUND",model="small"} 1)"));
}

TEST_F(InferRoutesTest, ARequestWhoseClientWentAwayLeavesTheQueue) {
  engine_.Hold("small");
  on_started_ = [this] { abort_(); };
  ExpectError(Post(Floats()), 499, "gave the request up");
  engine_.Release("small");
}

TEST_F(InferRoutesTest, ATimeoutIsHonoured) {
  engine_.Hold("small");
  json body = Floats();
  body["parameters"] = {{"timeout", 10'000}, {"priority", 1}};
  ExpectError(Post(body), 504, "before the request could start");
  engine_.Release("small");
}

TEST_F(InferRoutesTest, TellsOfModels) {
  json metadata = json::parse(Call("GET", "/v2/models/small").body);
  EXPECT_EQ(metadata, json::parse(Call("GET", "/v2/models/small/versions/3").body));
  EXPECT_EQ(metadata.at("versions"), json{"3"});
  EXPECT_EQ(metadata.at("inputs"),
            json::parse(R"([{"name": "input", "datatype": "FP32", "shape": [-1, 3, 8, 8]}])"));
  EXPECT_EQ(metadata.at("properties").at("max_batch"), "40");
  const json config = json::parse(Call("GET", "/v2/models/small/config").body);
  EXPECT_EQ(config.at("max_batch_size"), 40);
  EXPECT_EQ(config.at("input").at(0).at("data_type"), "TYPE_FP32");
  EXPECT_EQ(config.at("input").at(0).at("dims"), (json{3, 8, 8}));
  EXPECT_EQ(config.at("dynamic_batching").at("preferred_batch_size"), json{8});
  EXPECT_EQ(config.at("dynamic_batching").at("max_queue_delay_microseconds"), 0);
}

TEST_F(InferRoutesTest, Statistics) {
  Post(Floats());
  for (const char* path : {"/v2/models/stats", "/v2/models/small/stats"}) {
    const json stats = json::parse(Call("GET", path).body).at("model_stats");
    ASSERT_EQ(stats.size(), 1u);
    EXPECT_EQ(stats[0].at("inference_count"), 3);
    EXPECT_EQ(stats[0].at("inference_stats").at("success").at("count"), 1);
    EXPECT_EQ(stats[0].at("batch_stats").at(0).at("batch_size"), 3);
  }
  EXPECT_EQ(Call("GET", "/v2/models/other/stats").status, 404);
}

TEST_F(InferRoutesTest, TheRepository) {
  const auto index = [this](const std::string& body) {
    return json::parse(Call("POST", "/v2/repository/index", body).body);
  };
  EXPECT_EQ(index(""), json::parse(R"([{"name": "small", "version": "3", "state": "READY",
                                        "reason": ""}])"));
  const std::string model = "/v2/repository/models/small/";
  EXPECT_EQ(Call("POST", model + "unload", "{}").status, 200);
  EXPECT_EQ(index("").at(0).at("state"), "UNAVAILABLE");
  EXPECT_EQ(index(R"({"ready": true})"), json::array());
  EXPECT_EQ(Post(Floats()).status, 503);
  EXPECT_EQ(Call("POST", model + "load").status, 200);
  EXPECT_EQ(Post(Floats()).status, 200);
  ExpectError(Call("POST", model + "load", R"({"parameters": {"config": "{}"}})"), 501,
              "parameters.config");
  ExpectError(Call("POST", model + "load", R"({"parameters": {"file:1/m": "eA=="}})"), 501,
              "parameters.file:1/m");
  EXPECT_EQ(Call("POST", model + "load", "[").status, 400);
  EXPECT_EQ(Call("POST", "/v2/repository/models/other/load").status, 404);
  EXPECT_EQ(Call("POST", "/v2/repository/models/other/unload").status, 404);
  ExpectError(Call("POST", "/v2/repository/index", R"({"ready": 1})"), 400, "ready: must be true");
}

}  // namespace
}  // namespace haq::server::http
