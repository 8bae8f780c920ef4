#include "server/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <mutex>
#include <thread>

namespace haq::server::http {
namespace {

using boost::asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A socket that says exactly the bytes it is told to.
class Client {
 public:
  explicit Client(uint16_t port) : socket_(context_) {
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
  }
  void Send(std::string_view bytes) {
    boost::system::error_code error;
    boost::asio::write(socket_, boost::asio::buffer(bytes.data(), bytes.size()), error);
  }
  // Everything up to the end that the server puts.
  std::string ReadAll() {
    std::string text;
    boost::system::error_code error;
    boost::asio::read(socket_, boost::asio::dynamic_buffer(text), error);
    return text;
  }
  // Header and body of one answer.
  std::string ReadAnswer() {
    std::string text;
    char c = 0;
    boost::system::error_code error;
    const auto read = [&](size_t count) {
      for (size_t i = 0; i < count && boost::asio::read(socket_, boost::asio::buffer(&c, 1), error);
           ++i) {
        text += c;
      }
    };
    while (!error && !text.ends_with("\r\n\r\n")) read(1);
    const size_t length = text.find("Content-Length: ");
    if (length != std::string::npos) read(std::stoul(text.substr(length + 16)));
    return text;
  }
  // Ends what a read in another thread waits for.
  void Shutdown() {
    boost::system::error_code error;
    socket_.shutdown(tcp::socket::shutdown_both, error);
  }

 private:
  boost::asio::io_context context_;
  tcp::socket socket_;
};

class ServerTest : public ::testing::Test {
 protected:
  void Start(const Options& options = {}) {
    Router router;
    router.Add(Method::kGet, "/hello", [](const Request& request, const Respond& respond) {
      respond({.body = "hello " + request.query});
    });
    router.Add(Method::kPost, "/echo/{name}", [](const Request& request, const Respond& respond) {
      respond({.body = request.parameters.at("name") + "=" + request.body,
               .headers = {{"X-Type", request.content_type}}});
    });
    router.Add(Method::kGet, "/headers", [](const Request& request, const Respond& respond) {
      std::string text;
      for (const auto& [name, value] : request.headers) text += name + "=" + value + ";";
      respond({.body = text});
    });
    router.Add(Method::kPost, "/abort", [this](const Request& request, const Respond& respond) {
      request.on_abort([this] { ++aborted_; });
      const std::lock_guard lock(mutex_);
      held_.push_back(respond);
    });
    router.Add(Method::kGet, "/later", [this](const Request&, const Respond& respond) {
      const std::lock_guard lock(mutex_);
      held_.push_back(respond);
    });
    auto server = Server::Start(options, std::move(router), [this](std::string_view route, int s) {
      const std::lock_guard lock(mutex_);
      seen_.push_back(std::string(route) + " " + std::to_string(s));
    });
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
  }
  std::string Exchange(std::string_view request) {
    Client client(server_->port());
    client.Send(request);
    return client.ReadAll();
  }
  std::vector<std::string> Seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  Respond TakeHeld() {
    for (int i = 0; i < 500; ++i) {
      {
        const std::lock_guard lock(mutex_);
        if (!held_.empty()) {
          Respond respond = std::move(held_.back());
          held_.pop_back();
          return respond;
        }
      }
      std::this_thread::sleep_for(milliseconds(5));
    }
    ADD_FAILURE() << "no request came";
    return [](const Response&) {};
  }

  std::mutex mutex_;
  std::vector<std::string> seen_;
  std::vector<Respond> held_;
  std::atomic<int> aborted_ = 0;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  Start();
  Client client(server_->port());
  for (int i = 0; i < 3; ++i) {
    client.Send("GET /hello?n=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(client.ReadAnswer(), AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                                           HasSubstr("Content-Type: application/json\r\n"),
                                           EndsWith("\r\n\r\nhello n=1")));
  }
  EXPECT_EQ(Seen(), std::vector<std::string>(3, "/hello 200"));
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  Start();
  const std::string all =
      Exchange("GET /hello?a HTTP/1.1\r\n\r\nGET /hello?b HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_LT(all.find("hello a"), all.find("hello b"));
  EXPECT_NE(all.find("hello b"), std::string::npos);
}

TEST_F(ServerTest, ReadsABodyAndParameters) {
  Start();
  EXPECT_THAT(Exchange("POST /echo/a%20b HTTP/1.1\r\nContent-Type: t/x\r\nContent-Length: 3\r\n"
                       "Connection: close\r\n\r\nxyz"),
              AllOf(HasSubstr("X-Type: t/x"), EndsWith("a b=xyz")));
  EXPECT_THAT(Exchange("POST /echo/n HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                       "Connection: close\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
              EndsWith("n=hi"));
}

TEST_F(ServerTest, HeadHasTheHeaderAlone) {
  Start();
  EXPECT_THAT(Exchange("HEAD /hello HTTP/1.1\r\nConnection: close\r\n\r\n"),
              AllOf(HasSubstr("Content-Length: 6\r\n"), EndsWith("\r\n\r\n")));
}

TEST_F(ServerTest, SaysWhatIsWrong) {
  Start();
  EXPECT_THAT(Exchange("GET /nothing HTTP/1.0\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.0 404 Not Found"),
                    EndsWith(R"({"error":"no such path: /nothing"})")));
  EXPECT_THAT(Exchange("DELETE /hello HTTP/1.0\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.0 405"), HasSubstr("Allow: GET, HEAD\r\n")));
  EXPECT_THAT(Exchange("GET /%zz HTTP/1.0\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.0 400"), HasSubstr("hexadecimal")));
  EXPECT_EQ(Seen(), (std::vector<std::string>{"none 404", "/hello 405", "none 400"}));
}

TEST_F(ServerTest, MalformedRequestsAre400AndTheServerGoesOn) {
  Start();
  for (const std::string_view bad :
       {"\x16\x03\x01\x02garbage\r\n\r\n", "GET\r\n\r\n", "GET /hello HTTP/9.9\r\n\r\n",
        "GET /hello HTTP/1.1\r\nbad\r\n\r\n", "POST /echo/n HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /echo/n HTTP/1.1\r\nContent-Length: 1\r\n"
        "Content-Length: 2\r\n\r\nx"}) {
    EXPECT_THAT(Exchange(bad), AllOf(HasSubstr(" 400 Bad Request"), HasSubstr("malformed"))) << bad;
  }
  EXPECT_THAT(Exchange("GET /hello HTTP/1.0\r\n\r\n"), EndsWith("hello "));
}

TEST_F(ServerTest, HugeHeadersAre431) {
  Start({.max_header_bytes = 1024});
  const std::string answer =
      Exchange("GET /hello HTTP/1.1\r\nX: " + std::string(200'000, 'x') + "\r\n\r\n");
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 431"), HasSubstr("at most 1024 bytes")));
}

TEST_F(ServerTest, BodiesOverTheLimitAre413WithoutBeingRead) {
  Start({.max_body_bytes = 10});
  EXPECT_THAT(Exchange("POST /echo/n HTTP/1.1\r\nContent-Length: 10000000000\r\n\r\n"),
              AllOf(HasSubstr(" 413 "), HasSubstr("at most 10 bytes")));
  EXPECT_THAT(Exchange("POST /echo/n HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "b\r\n12345678901\r\n0\r\n\r\n"),
              HasSubstr(" 413 "));
}

TEST_F(ServerTest, ASlowHeaderIsCutWhateverItsPace) {
  Start({.header_timeout = milliseconds(200)});
  Client client(server_->port());
  client.Send("GET /hello HTTP/1.1\r\n");
  std::atomic<bool> done = false;
  std::thread dripper([&] {
    for (int i = 0; i < 100 && !done; ++i) {
      client.Send("X");
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  const auto start = steady_clock::now();
  EXPECT_EQ(client.ReadAll(), "");
  const auto elapsed = steady_clock::now() - start;
  done = true;
  dripper.join();
  EXPECT_GE(elapsed, milliseconds(100));
  EXPECT_LT(elapsed, milliseconds(1800));
}

TEST_F(ServerTest, IdleConnectionsAndSlowBodiesAreClosed) {
  Start({.header_timeout = milliseconds(100), .body_timeout = milliseconds(100)});
  Client idle(server_->port());
  EXPECT_EQ(idle.ReadAll(), "");
  EXPECT_EQ(Exchange("POST /echo/n HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"), "");
}

TEST_F(ServerTest, TooManyConnectionsAre503UntilOneCloses) {
  Start({.max_connections = 2});
  auto first = std::make_unique<Client>(server_->port());
  Client second(server_->port());
  for (Client* client : {first.get(), &second}) {
    client->Send("GET /hello HTTP/1.1\r\n\r\n");
    EXPECT_THAT(client->ReadAnswer(), HasSubstr(" 200 "));
  }
  Client third(server_->port());
  EXPECT_THAT(third.ReadAll(), AllOf(HasSubstr(" 503 "), HasSubstr("too many connections")));
  first.reset();
  std::string answer;
  for (int i = 0; i < 200 && answer.find(" 200 ") == std::string::npos; ++i) {
    std::this_thread::sleep_for(milliseconds(5));
    answer = Exchange("GET /hello HTTP/1.0\r\n\r\n");
  }
  EXPECT_THAT(answer, HasSubstr(" 200 "));
}

TEST_F(ServerTest, APortInUseIsSaid) {
  Start();
  const auto second = Server::Start({.port = server_->port()}, {});
  EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(second.status().message(),
            fmt::format("cannot listen on 127.0.0.1:{}: Address already in use", server_->port()));
}

TEST_F(ServerTest, AnAddressMustBeLiteral) {
  const auto server = Server::Start({.address = "nowhere"}, {});
  EXPECT_EQ(server.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(server.status().message(), HasSubstr("'nowhere'"));
}

TEST_F(ServerTest, StopLetsAnswersUnderWayFinish) {
  Start();
  Client client(server_->port());
  client.Send("GET /later HTTP/1.1\r\n\r\n");
  Respond respond = TakeHeld();
  std::thread answerer([&] {
    std::this_thread::sleep_for(milliseconds(100));
    respond({.body = "late"});
    respond = nullptr;
  });
  server_->Stop();
  answerer.join();
  EXPECT_THAT(client.ReadAll(), AllOf(HasSubstr("Connection: close"), EndsWith("late")));
}

TEST_F(ServerTest, StopDoesNotWaitForEver) {
  Start({.drain_timeout = milliseconds(50)});
  Client waiting(server_->port()), idle(server_->port());
  waiting.Send("GET /later HTTP/1.1\r\n\r\n");
  const Respond respond = TakeHeld();
  const auto start = steady_clock::now();
  server_.reset();
  EXPECT_LT(steady_clock::now() - start, milliseconds(1500));
  EXPECT_EQ(waiting.ReadAll(), "");
  EXPECT_EQ(idle.ReadAll(), "");
  respond({.body = "too late"});  // must touch nothing that is gone
}

TEST_F(ServerTest, ManyClientsAtOnce) {
  Start({.threads = 2});
  std::atomic<int> good = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < 8; ++c) {
    clients.emplace_back([&] {
      Client client(server_->port());
      for (int i = 0; i < 50; ++i) {
        client.Send("GET /hello?x HTTP/1.1\r\n\r\n");
        good += client.ReadAnswer().ends_with("hello x");
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(good, 400);
}

TEST_F(ServerTest, HandlersSeeTheHeadersInLowerCase) {
  Start();
  EXPECT_THAT(Exchange("GET /headers HTTP/1.1\r\nX-One: 1\r\nACCEPT-ENCODING: gzip\r\n"
                       "Connection: close\r\n\r\n"),
              AllOf(HasSubstr("x-one=1;"), HasSubstr("accept-encoding=gzip;")));
}

TEST_F(ServerTest, BodiesTogetherAreBounded) {
  Start({.max_body_bytes = 100, .max_buffered_bytes = 150});
  Client first(server_->port());
  first.Send("POST /abort HTTP/1.1\r\nContent-Length: 90\r\n\r\n" + std::string(90, 'x'));
  const Respond respond = TakeHeld();
  const std::string refused = "503 Service Unavailable";
  EXPECT_THAT(
      Exchange("POST /echo/a HTTP/1.1\r\nContent-Length: 61\r\n\r\n" + std::string(61, 'x')),
      AllOf(HasSubstr(refused), HasSubstr("Retry-After: 1")));
  // Of unknown size: counts as the limit.
  EXPECT_THAT(Exchange("POST /echo/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "1\r\nx\r\n0\r\n\r\n"),
              HasSubstr(refused));
  const std::string small =
      "POST /echo/a HTTP/1.1\r\nConnection: close\r\nContent-Length: 60\r\n\r\n" +
      std::string(60, 'x');
  EXPECT_THAT(Exchange(small), HasSubstr("200 OK"));
  EXPECT_THAT(Exchange(small), HasSubstr("200 OK")) << "what is answered counts no more";
  respond({.body = "late"});
  EXPECT_THAT(first.ReadAnswer(), HasSubstr("late"));
  EXPECT_THAT(Exchange("POST /echo/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                       "Connection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
              HasSubstr("200 OK"));
}

TEST_F(ServerTest, AHandlerLearnsThatItsClientWentAway) {
  Start();
  {
    Client client(server_->port());
    client.Send("POST /abort HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    TakeHeld();
    EXPECT_EQ(aborted_, 0);
  }
  for (int i = 0; i < 1000 && aborted_ == 0; ++i) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(aborted_, 1);
}

TEST_F(ServerTest, AnAnsweredRequestIsNotAborted) {
  Start();
  {
    Client client(server_->port());
    for (int i = 0; i < 3; ++i) {
      client.Send("POST /abort HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
      TakeHeld()({.body = "done"});
      EXPECT_THAT(client.ReadAnswer(), HasSubstr("done"));
    }
    // The next request comes before this one's answer: no reason to end this one.
    client.Send("POST /abort HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    const Respond respond = TakeHeld();
    client.Send("GET /hello HTTP/1.1\r\n\r\n");
    std::this_thread::sleep_for(milliseconds(50));
    respond({.body = "still"});
    EXPECT_THAT(client.ReadAnswer(), HasSubstr("still"));
    EXPECT_THAT(client.ReadAnswer(), HasSubstr("hello"));
  }
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(aborted_, 0);
}

// The watch for the client's end outlasts a request, and may report bytes that the next request's
// read has taken meanwhile: looking for them then must not wait.
TEST_F(ServerTest, ManyRequestsOneAfterTheOtherAreAllAnswered) {
  Options options;
  options.threads = 4;
  Start(options);
  std::atomic<bool> done = false;
  std::thread handler([&] {
    while (!done) {
      std::vector<Respond> held;
      {
        const std::lock_guard lock(mutex_);
        held.swap(held_);
      }
      for (const Respond& respond : held) respond({.body = "done"});
      std::this_thread::yield();
    }
  });
  Client client(server_->port());
  const std::string request =
      "POST /abort HTTP/1.1\r\nContent-Length: 100\r\n\r\n" + std::string(100, 'x');
  for (int i = 0; i < 2000; ++i) {
    client.Send(request);
    auto answer = std::async(std::launch::async, [&client] { return client.ReadAnswer(); });
    const bool came = answer.wait_for(std::chrono::seconds(10)) == std::future_status::ready;
    if (!came) client.Shutdown();
    EXPECT_TRUE(came) << "request " << i;
    if (!came) break;
    EXPECT_THAT(answer.get(), HasSubstr("done"));
  }
  done = true;
  handler.join();
}

}  // namespace
}  // namespace haq::server::http
