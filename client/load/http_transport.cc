#include <fmt/format.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <deque>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "client/load/transport.h"

namespace haq::client::load {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using beast::error_code;

constexpr uint64_t kMaxAnswerBytes = 64 << 20;

StatusCode CodeOf(unsigned status) {
  switch (status) {
    case 200:
      return StatusCode::kOk;
    case 400:
    case 413:
    case 415:
    case 431:
      return StatusCode::kInvalidArgument;
    case 404:
      return StatusCode::kNotFound;
    case 409:
      return StatusCode::kFailedPrecondition;
    case 429:
      return StatusCode::kResourceExhausted;
    case 501:
      return StatusCode::kUnsupported;
    case 503:
      return StatusCode::kUnavailable;
    case 504:
      return StatusCode::kDeadlineExceeded;
    default:
      return StatusCode::kInternal;
  }
}

// The whole request, header and body, as it goes over the wire. The one input is raw.
std::string Encode(const std::string& host, const inference::ModelInferRequest& request) {
  const auto& input = request.inputs(0);
  const std::string& raw = request.raw_input_contents(0);
  const nlohmann::json document = {
      {"inputs",
       {{{"name", input.name()},
         {"datatype", input.datatype()},
         {"shape", std::vector<int64_t>(input.shape().begin(), input.shape().end())},
         {"parameters", {{"binary_data_size", raw.size()}}}}}},
      {"parameters", {{"binary_data_output", true}}}};
  const std::string json = document.dump();
  const std::string version =
      request.model_version().empty() ? "" : "/versions/" + request.model_version();
  return fmt::format(
             "POST /v2/models/{}{}/infer HTTP/1.1\r\nHost: {}\r\n"
             "Content-Type: application/octet-stream\r\nInference-Header-Content-Length: {}\r\n"
             "Content-Length: {}\r\n\r\n{}",
             request.model_name(), version, host, json.size(), json.size() + raw.size(), json) +
         raw;
}

struct Shared {
  std::vector<std::string> requests;
  tcp::resolver::results_type endpoints;
  std::chrono::milliseconds timeout;
};

// A connection with the requests that wait for it. All but Send runs on its strand.
class HttpConnection {
 public:
  HttpConnection(asio::io_context& context, const Shared& shared)
      : shared_(shared), stream_(asio::make_strand(context)) {}

  void Connect(std::function<void(error_code)> connected) {
    asio::post(stream_.get_executor(),
               [this, connected = std::move(connected)]() mutable { Open(std::move(connected)); });
  }

  void Send(int request, Transport::Done done) {
    asio::post(stream_.get_executor(), [this, request, done = std::move(done)]() mutable {
      waiting_.emplace_back(request, std::move(done));
      if (!busy_) StartNext();
    });
  }

 private:
  void Open(std::function<void(error_code)> connected) {
    stream_.expires_after(shared_.timeout);
    stream_.async_connect(shared_.endpoints, [this, connected = std::move(connected)](
                                                 error_code error, const tcp::endpoint&) {
      open_ = !error;
      fresh_ = true;
      if (open_) stream_.socket().set_option(tcp::no_delay(true), error);
      connected(error);
    });
  }

  void StartNext() {
    busy_ = !waiting_.empty();
    if (!busy_) return;
    if (open_) return Write();
    Open([this](error_code error) { error ? Answered(CodeOfError(error)) : Write(); });
  }

  void Write() {
    stream_.expires_after(shared_.timeout);
    const std::string& request = shared_.requests[static_cast<size_t>(waiting_.front().first)];
    asio::async_write(stream_, asio::buffer(request), [this](error_code error, size_t) {
      if (error) return Broken(error);
      Read();
    });
  }

  void Read() {
    parser_.emplace();
    parser_->body_limit(kMaxAnswerBytes);
    http::async_read(stream_, buffer_, *parser_, [this](error_code error, size_t) {
      if (error) return Broken(error);
      if (!parser_->keep_alive()) Close();
      Answered(CodeOf(parser_->get().result_int()));
    });
  }

  // A connection that had been idle may have been closed by the server just before the request.
  void Broken(error_code error) {
    Close();
    if (!fresh_ && !parser_started()) return StartNext();
    Answered(CodeOfError(error));
  }
  bool parser_started() const { return parser_ && parser_->got_some(); }

  void Close() {
    error_code ignored;
    stream_.socket().close(ignored);
    buffer_.clear();
    open_ = false;
  }

  void Answered(StatusCode code) {
    fresh_ = false;
    const Transport::Done done = std::move(waiting_.front().second);
    waiting_.pop_front();
    parser_.reset();
    done(code);
    StartNext();
  }

  static StatusCode CodeOfError(error_code error) {
    return error == beast::error::timeout ? StatusCode::kDeadlineExceeded
                                          : StatusCode::kUnavailable;
  }

  const Shared& shared_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::response_parser<http::string_body>> parser_;
  std::deque<std::pair<int, Transport::Done>> waiting_;  // the first is under way
  bool busy_ = false, open_ = false;
  bool fresh_ = true;  // nothing was answered over it yet
};

class HttpTransport : public Transport {
 public:
  HttpTransport(Shared shared, const TransportOptions& options)
      : shared_(std::move(shared)), work_(asio::make_work_guard(context_)) {
    for (int i = 0; i < options.connections; ++i) {
      connections_.push_back(std::make_unique<HttpConnection>(context_, shared_));
    }
    for (int i = 0; i < options.threads; ++i) threads_.emplace_back([this] { context_.run(); });
  }
  ~HttpTransport() override {
    work_.reset();
    for (std::thread& thread : threads_) thread.join();
  }

  error_code Connect() {
    for (auto& connection : connections_) {
      std::promise<error_code> result;
      connection->Connect([&result](error_code error) { result.set_value(error); });
      if (const error_code error = result.get_future().get()) return error;
    }
    return {};
  }

  int connections() const override { return static_cast<int>(connections_.size()); }
  void Send(int connection, int request, Done done) override {
    connections_[static_cast<size_t>(connection)]->Send(request, std::move(done));
  }

 private:
  const Shared shared_;
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::vector<std::unique_ptr<HttpConnection>> connections_;
  std::vector<std::thread> threads_;
};

// "HOST:PORT" and "[IPV6]:PORT".
Result<tcp::resolver::results_type> Resolve(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) {
    return InvalidField("--http", "\"{}\" must be HOST:PORT", address);
  }
  std::string host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  asio::io_context context;
  error_code error;
  auto endpoints = tcp::resolver(context).resolve(host, address.substr(colon + 1), error);
  if (error) return Unavailable("server {}: {}", address, error.message());
  return endpoints;
}

}  // namespace

Result<std::unique_ptr<Transport>> ConnectHttp(
    const std::string& address, int64_t timeout_ms, const TransportOptions& options,
    const std::vector<inference::ModelInferRequest>& requests) {
  constexpr std::chrono::hours kNoEnd{24 * 365};
  Shared shared;
  HAQ_ASSIGN_OR_RETURN(shared.endpoints, Resolve(address));
  shared.timeout = timeout_ms > 0 ? std::chrono::milliseconds(timeout_ms) : kNoEnd;
  for (const auto& request : requests) shared.requests.push_back(Encode(address, request));
  auto transport = std::make_unique<HttpTransport>(std::move(shared), options);
  if (const error_code error = transport->Connect()) {
    return Unavailable("server {}: {}", address, error.message());
  }
  return std::unique_ptr<Transport>(std::move(transport));
}

}  // namespace haq::client::load
