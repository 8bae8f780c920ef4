// Over real connections: to the HTTP server of this project, and to a gRPC service.
#include "client/load/transport.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

#include "inference/inference.grpc.pb.h"
#include "server/http/server.h"

namespace haq::client::load {
namespace {

using ::testing::HasSubstr;

inference::ModelInferRequest RequestWith(const std::string& bytes) {
  inference::ModelInferRequest request;
  request.set_model_name("net");
  auto* input = request.add_inputs();
  input->set_name("input");
  input->set_datatype("UINT8");
  input->add_shape(1);
  input->add_shape(static_cast<int64_t>(bytes.size()));
  request.add_raw_input_contents(bytes);
  return request;
}

const std::vector<inference::ModelInferRequest> kRequests = {RequestWith("abc"),
                                                             RequestWith("refuse")};

// Sends `count` requests over each connection, and waits for all answers.
std::map<StatusCode, int> SendAll(Transport& transport, int request, int count) {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<StatusCode, int> codes;
  int missing = count * transport.connections();
  for (int i = 0; i < count; ++i) {
    for (int connection = 0; connection < transport.connections(); ++connection) {
      transport.Send(connection, request, [&](StatusCode code) {
        const std::lock_guard lock(mutex);
        ++codes[code];
        if (--missing == 0) changed.notify_all();
      });
    }
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return missing == 0; });
  return codes;
}

class InferenceStub final : public inference::GRPCInferenceService::Service {
 public:
  grpc::Status ModelInfer(grpc::ServerContext* context, const inference::ModelInferRequest* request,
                          inference::ModelInferResponse*) override {
    {
      const std::lock_guard lock(mutex_);
      peers_.insert(context->peer());
    }
    if (request->raw_input_contents(0) == "refuse") {
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, "full"};
    }
    if (request->SerializeAsString() != kRequests[0].SerializeAsString()) {
      return {grpc::StatusCode::INTERNAL, "another request"};
    }
    return grpc::Status::OK;
  }
  size_t peers() {
    const std::lock_guard lock(mutex_);
    return peers_.size();
  }

 private:
  std::mutex mutex_;
  std::set<std::string> peers_;
};

TEST(GrpcTransportTest, SendsOverConnectionsOfTheirOwn) {
  InferenceStub service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const auto transport =
      ConnectGrpc({.server = "127.0.0.1:" + std::to_string(port)}, {.connections = 5}, kRequests);
  ASSERT_TRUE(transport.ok()) << transport.status().ToString();
  EXPECT_EQ((*transport)->connections(), 5);
  EXPECT_EQ(SendAll(**transport, 0, 20), (std::map<StatusCode, int>{{StatusCode::kOk, 100}}));
  EXPECT_EQ(SendAll(**transport, 1, 2),
            (std::map<StatusCode, int>{{StatusCode::kResourceExhausted, 10}}));
  EXPECT_EQ(service.peers(), 5u);
}

TEST(GrpcTransportTest, NobodyListening) {
  const auto transport =
      ConnectGrpc({.server = "127.0.0.1:1", .timeout_ms = 300}, {.connections = 2}, kRequests);
  EXPECT_EQ(transport.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(transport.status().message(), HasSubstr("127.0.0.1:1"));
}

class HttpTransportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server::http::Router router;
    router.Add(server::http::Method::kPost, "/v2/models/{model}/infer",
               [this](const server::http::Request& request, const server::http::Respond& respond) {
                 Seen(request, respond);
               });
    server::http::Options options;
    options.header_timeout = std::chrono::milliseconds(200);
    auto started = server::http::Server::Start(options, std::move(router), nullptr);
    ASSERT_TRUE(started.ok()) << started.status().ToString();
    server_ = *std::move(started);
  }
  void Seen(const server::http::Request& request, const server::http::Respond& respond) {
    const std::string json =
        request.body.substr(0, std::stoul(request.headers.at("inference-header-content-length")));
    const std::string raw = request.body.substr(json.size());
    if (raw == "refuse") return respond({.status = 429, .body = "{}"});
    const bool right = raw == "abc" && json.find("\"binary_data_size\":3") != std::string::npos &&
                       json.find("\"shape\":[1,3]") != std::string::npos;
    respond({.status = right ? 200 : 400, .body = json});
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port()); }

  std::unique_ptr<server::http::Server> server_;
};

TEST_F(HttpTransportTest, SendsOneAfterTheOtherOverEachConnection) {
  const auto transport = ConnectHttp(address(), 5'000, {.connections = 3}, kRequests);
  ASSERT_TRUE(transport.ok()) << transport.status().ToString();
  EXPECT_EQ(SendAll(**transport, 0, 20), (std::map<StatusCode, int>{{StatusCode::kOk, 60}}));
  EXPECT_EQ(SendAll(**transport, 1, 2),
            (std::map<StatusCode, int>{{StatusCode::kResourceExhausted, 6}}));
}

TEST_F(HttpTransportTest, AConnectionThatTheServerClosedIsMadeAgain) {
  const auto transport = ConnectHttp(address(), 5'000, {.connections = 1}, kRequests);
  ASSERT_TRUE(transport.ok());
  EXPECT_EQ(SendAll(**transport, 0, 1), (std::map<StatusCode, int>{{StatusCode::kOk, 1}}));
  std::this_thread::sleep_for(std::chrono::milliseconds(600));  // the server's limit is 200
  EXPECT_EQ(SendAll(**transport, 0, 1), (std::map<StatusCode, int>{{StatusCode::kOk, 1}}));
}

TEST_F(HttpTransportTest, AServerThatWentAway) {
  const auto transport = ConnectHttp(address(), 2'000, {.connections = 1}, kRequests);
  ASSERT_TRUE(transport.ok());
  server_.reset();
  EXPECT_EQ(SendAll(**transport, 0, 2), (std::map<StatusCode, int>{{StatusCode::kUnavailable, 2}}));
}

TEST(HttpTransportAddressTest, IsHostAndPort) {
  EXPECT_EQ(ConnectHttp("localhost", 1'000, {}, kRequests).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(ConnectHttp("127.0.0.1:1", 1'000, {}, kRequests).status().code(),
            StatusCode::kUnavailable);
}

}  // namespace
}  // namespace haq::client::load
