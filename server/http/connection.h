// One connection: reads a request, finds its handler, writes the answer, and again.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "server/http/server.h"
#include "server/http/tls.h"

namespace haq::server::http {

class Connection;

// What the connections of a server share. It holds the context, so that a Respond that outlives the
// server keeps what its connection's socket needs.
struct Shared {
  boost::asio::io_context context;
  Options options;
  Router router;
  Observer observer;
  std::unique_ptr<TlsContexts> tls;  // null: plain

  std::mutex mutex;
  // Guarded by mutex.
  std::set<Connection*> connections;
  bool closed = false;          // nothing may be posted any more: the threads are about to end
  uint64_t buffered_bytes = 0;  // that bodies may take
};

// Kept alive by its own pending operation and by the Respond of a request under way. Everything but
// the public functions runs on the socket's strand.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::ip::tcp::socket socket, std::shared_ptr<Shared> shared);
  ~Connection();

  void Run();
  // From any thread: closes when it waits for a request, or at once when `now`; after the answer
  // otherwise.
  void Drain(bool now);
  // From any thread, also after the server ended.
  void Answer(Response response, bool keep_alive);

 private:
  using StringResponse = boost::beast::http::response<boost::beast::http::string_body>;

  // Calls `function` with the stream that requests are read from: the socket's, or TLS over it.
  template <typename Function>
  void WithStream(const Function& function) {
    if (tls_) {
      function(*tls_);
    } else {
      function(stream_);
    }
  }
  void Handshake();
  void FailHandshake(boost::beast::error_code error);
  void ReadHeader();
  void OnHeader(boost::beast::error_code error);
  void OnBody(boost::beast::error_code error);
  // Takes the body's bytes from what all connections may buffer; false when there are too few.
  bool ReserveBody();
  void ReleaseBody();
  void Dispatch();
  void WatchForClose();
  void OnReadable(boost::beast::error_code error);
  // True when the other side has ended the connection, whatever bytes are still unread.
  bool PeerHasEnded();
  void AnswerReadError(boost::beast::error_code error);
  void Send(Response response, bool keep_alive);
  void OnWritten(boost::beast::error_code error, bool keep_alive);
  void SayEnd();
  void Linger();
  void Close();

  const std::shared_ptr<Shared> shared_;
  boost::beast::tcp_stream stream_;
  std::shared_ptr<boost::asio::ssl::context> tls_context_;  // null: plain
  std::optional<boost::beast::ssl_stream<boost::beast::tcp_stream&>> tls_;
  boost::asio::steady_timer look_again_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  std::optional<StringResponse> response_;
  Router::Match match_;
  Target target_;
  std::array<char, 4096> discarded_{};
  size_t discarded_bytes_ = 0;
  uint64_t reserved_bytes_ = 0;
  std::function<void()> on_abort_;  // of the request under way
  bool watching_ = false;           // for the client's end; one watch outlasts requests
  bool answering_ = false;          // a whole header has been read and its answer is not out yet
  bool draining_ = false;
};

}  // namespace haq::server::http
