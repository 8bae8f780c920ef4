#include "server/http/server.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "server/http/connection.h"

namespace haq::server::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

std::string BusyAnswer() {
  const Response answer = ErrorResponse(503, "too many connections are open");
  return fmt::format(
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: {}\r\nContent-Length: {}\r\n"
      "Connection: close\r\n\r\n{}",
      answer.content_type, answer.body.size(), answer.body);
}

}  // namespace

// Handlers of the acceptor refer to the Impl by a bare pointer: Stop joins the threads first.
struct Server::Impl {
  explicit Impl(const Options& options) { shared->options = options; }

  Status Listen();
  void Accept();
  void OnAccepted(error_code error, tcp::socket socket);
  void RunThread();
  bool Full();
  void DrainAll(bool now);
  void WaitForConnections();

  std::shared_ptr<Shared> shared = std::make_shared<Shared>();
  tcp::acceptor acceptor{shared->context};
  asio::steady_timer retry{shared->context};
  // Keeps the threads while the only thing under way is a handler that answers later.
  asio::executor_work_guard<asio::io_context::executor_type> work{shared->context.get_executor()};
  std::vector<std::thread> threads;
  uint16_t port = 0;
  bool stopped = false;
};

Status Server::Impl::Listen() {
  const Options& options = shared->options;
  error_code error;
  const auto address = asio::ip::make_address(options.address, error);
  if (error) {
    return InvalidArgument("'{}' is not a literal IPv4 or IPv6 address", options.address);
  }
  const tcp::endpoint endpoint(address, options.port);
  acceptor.open(endpoint.protocol(), error);
  // A port in TIME_WAIT after a restart must not keep the server from starting.
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return FailedPrecondition("cannot listen on {}:{}: {}", options.address, options.port,
                              error.message());
  }
  port = acceptor.local_endpoint(error).port();
  return {};
}

void Server::Impl::Accept() {
  acceptor.async_accept(
      asio::make_strand(shared->context),
      [this](error_code error, tcp::socket socket) { OnAccepted(error, std::move(socket)); });
}

void Server::Impl::OnAccepted(error_code error, tcp::socket socket) {
  if (!acceptor.is_open()) return;
  if (error) {
    // Out of descriptors, most likely: accepting at once again would spin.
    retry.expires_after(std::chrono::milliseconds(100));
    retry.async_wait([this](error_code cancelled) {
      if (!cancelled && acceptor.is_open()) Accept();
    });
    return;
  }
  if (Full()) {
    if (shared->observer) shared->observer("none", 503);
    // Over TLS a handshake would be needed to say so.
    if (shared->tls) return Accept();
    static const std::string busy = BusyAnswer();
    socket.non_blocking(true, error);
    socket.write_some(asio::buffer(busy), error);  // fits the kernel's buffer, or is dropped
  } else {
    socket.set_option(tcp::no_delay(true), error);
    std::make_shared<Connection>(std::move(socket), shared)->Run();
  }
  Accept();
}

// A handler that throws (out of memory) costs its connection, not the server.
void Server::Impl::RunThread() {
  for (;;) {
    try {
      shared->context.run();
      return;
    } catch (const std::exception& exception) {
      spdlog::error("http: {}", exception.what());
    }
  }
}

bool Server::Impl::Full() {
  const std::lock_guard lock(shared->mutex);
  return shared->connections.size() >= static_cast<size_t>(shared->options.max_connections);
}

void Server::Impl::DrainAll(bool now) {
  // Released after the lock: the destructor of a connection takes the mutex.
  std::vector<std::shared_ptr<Connection>> alive;
  const std::lock_guard lock(shared->mutex);
  for (Connection* connection : shared->connections) {
    // One that is being destroyed waits for the mutex in its destructor and yields nothing here.
    if (auto owned = connection->weak_from_this().lock()) {
      owned->Drain(now);
      alive.push_back(std::move(owned));
    }
  }
  if (now) shared->closed = true;
}

void Server::Impl::WaitForConnections() {
  const auto deadline = std::chrono::steady_clock::now() + shared->options.drain_timeout;
  while (std::chrono::steady_clock::now() < deadline) {
    {
      const std::lock_guard lock(shared->mutex);
      if (shared->connections.empty()) return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { Stop(); }

uint16_t Server::port() const { return impl_->port; }

Result<std::unique_ptr<Server>> Server::Start(const Options& options, Router router,
                                              Observer observer) {
  auto impl = std::make_unique<Impl>(options);
  impl->shared->router = std::move(router);
  impl->shared->observer = std::move(observer);
  if (options.certificates) {
    HAQ_ASSIGN_OR_RETURN(impl->shared->tls, TlsContexts::Create(options.certificates));
  }
  HAQ_RETURN_IF_ERROR(impl->Listen());
  impl->Accept();
  for (int i = 0; i < std::max(1, options.threads); ++i) {
    impl->threads.emplace_back([raw = impl.get()] { raw->RunThread(); });
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::Stop() {
  if (std::exchange(impl_->stopped, true)) return;
  Impl* const impl = impl_.get();
  asio::post(impl->shared->context, [impl] {
    error_code ignored;
    impl->acceptor.close(ignored);
    impl->retry.cancel();
  });
  impl->DrainAll(false);
  impl->WaitForConnections();
  impl->DrainAll(true);
  impl->work.reset();
  // Nothing is pending any more once the sockets are closed, so the threads come back.
  for (std::thread& thread : impl->threads) thread.join();
}

}  // namespace haq::server::http
