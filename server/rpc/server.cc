#include "server/rpc/server.h"

#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <mutex>

#include "server/rpc/services.h"
#include "server/rpc/worker_service.h"

namespace haq::server::rpc {
namespace {

// What a message has beside its one large field.
constexpr int64_t kSlackBytes = 1 << 20;
// A peer that does not answer a ping is gone, and its calls with it: watchers and waiting workers
// would otherwise stay until the system gives the connection up, which takes hours.
constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
// How often clients may ping without being told to calm down.
constexpr int kMinClientPingMs = 5'000;

int MessageLimit(int64_t bytes) {
  return static_cast<int>(std::min<int64_t>(bytes, std::numeric_limits<int>::max()));
}

void SetKeepalive(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinClientPingMs);
}

// What gRPC calls an error is what a peer did wrong, such as a handshake that is none.
void LogOfGrpc(gpr_log_func_args* line) { spdlog::debug("grpc: {}", line->message); }

// All are matters of the process, and have to be done before a server is built.
void PrepareGrpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Never given back: when the last user of gRPC goes, its shutdown waits for its pollers, up to
    // ten seconds. The process is about to end then and needs no tidiness.
    grpc_init();
    gpr_set_log_function(&LogOfGrpc);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

Result<std::unique_ptr<grpc::Server>> StartWorkerServer(api::Service& service,
                                                        grpc::Service* worker_service) {
  const std::string socket = service.data_folder().worker_socket().string();
  if (socket.size() >= sizeof(sockaddr_un::sun_path)) {
    return InvalidArgument(
        "the data folder's path is too long: its socket {} has {} bytes, at most {} work", socket,
        socket.size(), sizeof(sockaddr_un::sun_path) - 1);
  }
  const int limit = MessageLimit(service.options().queue.max_checkpoint_bytes + kSlackBytes);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  SetKeepalive(builder);
  builder.SetMaxReceiveMessageSize(limit);
  builder.SetMaxSendMessageSize(limit);
  builder.RegisterService(worker_service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) return FailedPrecondition("cannot listen on the workers' socket {}", socket);
  if (::chmod(socket.c_str(), 0600) != 0) return store::SystemError(socket, "protect");
  return Result<std::unique_ptr<grpc::Server>>(std::move(server));
}

}  // namespace

Result<std::unique_ptr<GrpcServer>> StartGrpcServer(const GrpcOptions& options,
                                                    api::Service& service,
                                                    const std::vector<NamedService>& extra) {
  PrepareGrpc();
  std::unique_ptr<GrpcServer> server(new GrpcServer);
  server->options_ = options;
  server->public_names_ = {
      haq::v1::ModelService::service_full_name(), haq::v1::DatasetService::service_full_name(),
      haq::v1::BlobService::service_full_name(), haq::v1::JobService::service_full_name(),
      haq::v1::ArtifactService::service_full_name()};
  auto& services = server->services_;
  services.push_back(std::make_unique<ModelService>(service));
  services.push_back(std::make_unique<DatasetService>(service));
  services.push_back(std::make_unique<BlobService>(service));
  services.push_back(std::make_unique<JobService>(service));
  services.push_back(std::make_unique<ArtifactService>(service));

  grpc::ServerBuilder builder;
  if (options.certificates) server->tls_ = std::make_unique<ServerTls>(options.certificates);
  builder.AddListeningPort(
      options.address,
      server->tls_ ? server->tls_->MakeCredentials() : grpc::InsecureServerCredentials(),
      &server->port_);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, options.handshake_timeout_ms);
  // Without this a second server would share the port and take half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  SetKeepalive(builder);
  builder.SetMaxReceiveMessageSize(MessageLimit(options.max_message_bytes));
  builder.SetMaxSendMessageSize(MessageLimit(options.max_message_bytes));
  for (const auto& each : services) builder.RegisterService(each.get());
  for (const NamedService& each : extra) {
    builder.RegisterService(each.service);
    server->public_names_.push_back(each.name);
  }
  server->public_server_ = builder.BuildAndStart();
  if (!server->public_server_ || server->port_ == 0) {
    return FailedPrecondition(
        "cannot listen on {} (gRPC): the port is in use, or the address is not this machine's",
        options.address);
  }
  server->SetServing(false);
  services.push_back(std::make_unique<WorkerService>(service));
  HAQ_ASSIGN_OR_RETURN(server->worker_server_, StartWorkerServer(service, services.back().get()));
  return Result<std::unique_ptr<GrpcServer>>(std::move(server));
}

GrpcServer::~GrpcServer() { Shutdown(); }

void GrpcServer::SetServing(bool serving) {
  const std::lock_guard lock(health_mutex_);
  auto* const health = public_server_ ? public_server_->GetHealthCheckService() : nullptr;
  if (health == nullptr || stopping_) return;
  health->SetServingStatus(serving);
  for (const std::string& name : public_names_) health->SetServingStatus(name, serving);
}

void GrpcServer::Shutdown() {
  {
    const std::lock_guard lock(health_mutex_);
    stopping_ = true;
    if (public_server_ && public_server_->GetHealthCheckService()) {
      public_server_->GetHealthCheckService()->Shutdown();
    }
  }
  const auto deadline =
      std::chrono::system_clock::now() + std::chrono::milliseconds(options_.shutdown_timeout_ms);
  for (auto* server : {&public_server_, &worker_server_}) {
    if (!*server) continue;
    (*server)->Shutdown(deadline);
    (*server)->Wait();
    server->reset();
  }
}

}  // namespace haq::server::rpc
