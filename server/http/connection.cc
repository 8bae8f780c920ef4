#include "server/http/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cctype>
#include <chrono>
#include <utility>

namespace haq::server::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
using beast::error_code;

constexpr std::chrono::milliseconds kLingerTime{1000};
constexpr size_t kLingerBytes = 1 << 20;
constexpr std::chrono::milliseconds kLookAgain{50};

Connection::Connection(asio::ip::tcp::socket socket, std::shared_ptr<Shared> shared)
    : shared_(std::move(shared)),
      stream_(std::move(socket)),
      tls_context_(shared_->tls ? shared_->tls->Current() : nullptr),
      look_again_(stream_.get_executor()),
      buffer_(shared_->options.max_header_bytes + (64 << 10)) {
  error_code ignored;
  stream_.socket().non_blocking(true, ignored);  // for OnReadable
  const std::lock_guard lock(shared_->mutex);
  shared_->connections.insert(this);
}

Connection::~Connection() {
  ReleaseBody();
  const std::lock_guard lock(shared_->mutex);
  shared_->connections.erase(this);
}

void Connection::Run() {
  // Under the mutex: either Drain finds this connection, or this finds the server closed.
  const std::lock_guard lock(shared_->mutex);
  if (shared_->closed) return;
  asio::post(stream_.get_executor(), [self = shared_from_this()] { self->Handshake(); });
}

// A client that only connects takes a place among the connections, for the time of a header.
void Connection::Handshake() {
  if (!tls_context_) return ReadHeader();
  if (draining_) return Close();
  tls_.emplace(stream_, *tls_context_);
  stream_.expires_after(shared_->options.header_timeout);
  tls_->async_handshake(asio::ssl::stream_base::server,
                        [self = shared_from_this()](error_code error) {
                          if (error) return self->FailHandshake(error);
                          self->ReadHeader();
                        });
}

void Connection::FailHandshake(error_code error) {
  if (error != asio::error::operation_aborted) {
    spdlog::debug("http: TLS handshake failed: {}", error.message());
  }
  Close();
}

void Connection::Drain(bool now) {
  asio::post(stream_.get_executor(), [self = shared_from_this(), now] {
    self->draining_ = true;
    if (now || !self->answering_) self->Close();
  });
}

void Connection::Answer(Response response, bool keep_alive) {
  const std::lock_guard lock(shared_->mutex);
  // A handler that is posted to a context without threads would keep itself alive for ever.
  if (shared_->closed) return;
  asio::post(stream_.get_executor(),
             [self = shared_from_this(), keep_alive, response = std::move(response)]() mutable {
               self->Send(std::move(response), keep_alive);
             });
}

void Connection::ReadHeader() {
  if (draining_) return Close();
  answering_ = false;
  look_again_.cancel();
  parser_.emplace();
  parser_->header_limit(shared_->options.max_header_bytes);
  parser_->body_limit(shared_->options.max_body_bytes);
  match_ = {};
  target_ = {};
  stream_.expires_after(shared_->options.header_timeout);
  WithStream([&](auto& stream) {
    beast::http::async_read_header(
        stream, buffer_, *parser_,
        [self = shared_from_this()](error_code error, size_t) { self->OnHeader(error); });
  });
}

// Decides by the header alone whether the body is worth reading.
void Connection::OnHeader(error_code error) {
  if (error) return AnswerReadError(error);
  answering_ = true;
  const auto& header = parser_->get();
  Result<Target> target = ParseTarget({header.target().data(), header.target().size()});
  if (!target.ok()) return Send(ErrorResponse(target.status()), false);
  target_ = *std::move(target);
  match_ = shared_->router.Find({header.method_string().data(), header.method_string().size()},
                                target_.path);
  if (match_.handler == nullptr)
    return Send(match_.error, parser_->is_done() && header.keep_alive());
  if (!ReserveBody()) {
    Response busy = ErrorResponse(503, "too many bytes of other requests are being received");
    busy.headers.emplace_back("Retry-After", "1");
    return Send(std::move(busy), false);
  }
  stream_.expires_after(shared_->options.body_timeout);
  WithStream([&](auto& stream) {
    beast::http::async_read(
        stream, buffer_, *parser_,
        [self = shared_from_this()](error_code error, size_t) { self->OnBody(error); });
  });
}

bool Connection::ReserveBody() {
  const auto length = parser_->content_length();
  const auto encoding = parser_->get()[beast::http::field::content_encoding];
  if (parser_->is_done()) return true;  // no body
  const uint64_t limit = shared_->options.max_body_bytes;
  const uint64_t size = length && encoding.empty() ? std::min(*length, limit) : limit;
  const std::lock_guard lock(shared_->mutex);
  uint64_t& buffered = shared_->buffered_bytes;
  if (buffered > 0 && size > 0 && buffered + size > shared_->options.max_buffered_bytes) {
    return false;
  }
  buffered += size;
  reserved_bytes_ = size;
  return true;
}

void Connection::ReleaseBody() {
  if (reserved_bytes_ == 0) return;
  const std::lock_guard lock(shared_->mutex);
  shared_->buffered_bytes -= std::exchange(reserved_bytes_, 0);
}

void Connection::OnBody(error_code error) {
  if (error) return AnswerReadError(error);
  Dispatch();
}

void Connection::Dispatch() {
  stream_.expires_never();  // the handler's own limits apply
  Request request;
  auto& message = parser_->get();
  request.method = message.method() == beast::http::verb::post ? Method::kPost : Method::kGet;
  request.path = std::move(target_.path);
  request.query = std::move(target_.query);
  const auto content_type = message[beast::http::field::content_type];
  request.content_type.assign(content_type.data(), content_type.size());
  request.body = std::move(message.body());
  request.parameters = std::move(match_.parameters);
  for (const auto& field : message) {
    std::string name(field.name_string());
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    request.headers.insert_or_assign(std::move(name), std::string(field.value()));
  }
  request.on_abort = [this](std::function<void()> callback) { on_abort_ = std::move(callback); };
  const bool keep_alive = message.keep_alive();
  (*match_.handler)(std::move(request), [self = shared_from_this(), keep_alive](Response response) {
    self->Answer(std::move(response), keep_alive);
  });
  if (on_abort_) WatchForClose();
}

void Connection::WatchForClose() {
  if (std::exchange(watching_, true)) return;
  stream_.socket().async_wait(
      asio::ip::tcp::socket::wait_read,
      [self = shared_from_this()](error_code error) { self->OnReadable(error); });
}

// Bytes that can be read are the next request, and say nothing of whether this answer is awaited.
// No bytes and no end: a watch that is older than this request saw bytes that were read meanwhile.
// Over TLS they may also be the alert that comes before the end: there the end is looked for again.
void Connection::OnReadable(error_code error) {
  watching_ = false;
  if (!on_abort_ || error == asio::error::operation_aborted) return;
  if (tls_) {
    if (error || PeerHasEnded()) return std::exchange(on_abort_, nullptr)();
    look_again_.expires_after(kLookAgain);
    return look_again_.async_wait([self = shared_from_this()](error_code cancelled) {
      if (!cancelled && self->on_abort_) self->WatchForClose();
    });
  }
  char byte = 0;
  const size_t size = error ? 0
                            : stream_.socket().receive(asio::buffer(&byte, 1),
                                                       asio::ip::tcp::socket::message_peek, error);
  if (error == asio::error::would_block) return WatchForClose();
  if (size == 0) std::exchange(on_abort_, nullptr)();
}

bool Connection::PeerHasEnded() {
  tcp_info info{};
  socklen_t size = sizeof(info);
  const int socket = stream_.socket().native_handle();
  return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
         info.tcpi_state != TCP_ESTABLISHED;
}

// The bytes were no request within the limits: say so where somebody may still read it, and close,
// because where the next request starts is unknown.
void Connection::AnswerReadError(error_code error) {
  namespace http = beast::http;
  if (error == http::error::end_of_stream || error == beast::error::timeout ||
      error == asio::error::operation_aborted ||
      error.category() == asio::error::get_system_category() ||
      error.category() == asio::error::get_ssl_category() ||
      error == asio::ssl::error::stream_truncated || error == http::error::partial_message) {
    return Close();
  }
  answering_ = true;
  const Options& options = shared_->options;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return Send(ErrorResponse(431, fmt::format("the header may have at most {} bytes",
                                               options.max_header_bytes)),
                false);
  }
  if (error == http::error::body_limit) {
    return Send(ErrorResponse(
                    413, fmt::format("the body may have at most {} bytes", options.max_body_bytes)),
                false);
  }
  Send(ErrorResponse(400, fmt::format("malformed HTTP request: {}", error.message())), false);
}

void Connection::Send(Response answer, bool keep_alive) {
  keep_alive = keep_alive && !draining_;
  on_abort_ = nullptr;
  ReleaseBody();
  if (shared_->observer) shared_->observer(match_.pattern, answer.status);
  const auto& request = parser_->get();
  const bool head = request.method() == beast::http::verb::head;
  response_.emplace();
  response_->version(request.version() == 10 ? 10 : 11);
  response_->result(static_cast<unsigned>(answer.status));
  response_->set(beast::http::field::content_type, answer.content_type);
  for (const auto& [name, value] : answer.headers) response_->set(name, value);
  response_->keep_alive(keep_alive);
  const size_t size = answer.body.size();
  if (!head) response_->body() = std::move(answer.body);
  response_->content_length(size);
  stream_.expires_after(shared_->options.write_timeout);
  WithStream([&](auto& stream) {
    beast::http::async_write(stream, *response_,
                             [self = shared_from_this(), keep_alive](error_code error, size_t) {
                               self->OnWritten(error, keep_alive);
                             });
  });
}

void Connection::OnWritten(error_code error, bool keep_alive) {
  if (error || draining_) return Close();
  if (keep_alive) return ReadHeader();
  stream_.expires_after(kLingerTime);
  if (tls_) return SayEnd();
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
  Linger();
}

// Waits for the client's own end too; what it sends instead is read by Linger.
void Connection::SayEnd() {
  tls_->async_shutdown([self = shared_from_this()](error_code error) {
    if (error.category() != asio::error::get_ssl_category()) return self->Close();
    self->Linger();
  });
}

// Closing while bytes of the client are unread resets the connection, and the client may never see
// the answer: so what it still sends is read, for a moment and up to a limit.
void Connection::Linger() {
  stream_.async_read_some(asio::buffer(discarded_),
                          [self = shared_from_this()](error_code error, size_t size) {
                            self->discarded_bytes_ += size;
                            if (error || self->discarded_bytes_ > kLingerBytes) {
                              self->Close();
                            } else {
                              self->Linger();
                            }
                          });
}

void Connection::Close() {
  look_again_.cancel();
  stream_.close();
}

}  // namespace haq::server::http
