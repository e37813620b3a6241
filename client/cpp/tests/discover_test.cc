#include "discover.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "http_get.h"
#include "listener.h"
#include "runwire/error.h"

namespace runwire {
namespace {

// Answers one request with these bytes.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) {
    uri = "http://" + listener_.authority;
    thread_ = std::thread([this, answer = std::move(answer)] {
      const int client = accept(listener_.descriptor, nullptr, nullptr);
      char request[4096];
      request_.assign(request, static_cast<std::size_t>(std::max(0L, read(client, request, 4096))));
      (void)!write(client, answer.data(), answer.size());
      close(client);
    });
  }
  ~OneAnswer() {
    if (thread_.joinable()) thread_.join();
  }
  OneAnswer(const OneAnswer&) = delete;
  OneAnswer& operator=(const OneAnswer&) = delete;

  const std::string& request() {
    thread_.join();
    return request_;
  }

  std::string uri;

 private:
  Listener listener_;
  std::string request_;
  std::thread thread_;
};

Code code_of(const std::string& answer) {
  OneAnswer server(answer);
  try {
    discover(server.uri, "");
    return Code::kOk;
  } catch (const Error& error) {
    return error.code();
  }
}

TEST(Discover, FindsThePortWhereItCameFrom) {
  OneAnswer server(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "f\r\n{\"grpc_endpoint\r\n1d\r\n\": \":5001\", \"new_field\": [1]}\r\n0\r\n\r\n");
  EXPECT_EQ(discover(server.uri, "").text(), "127.0.0.1:5001");
  EXPECT_EQ(server.request().rfind("GET /api/v1/server HTTP/1.1\r\n", 0), 0U);
}

TEST(Discover, SaysWhatAnswered) {
  EXPECT_EQ(code_of("HTTP/1.1 404 Not Found\r\n\r\n"), Code::kInvalidArgument);
  EXPECT_EQ(code_of("HTTP/1.1 503 Busy\r\n\r\n"), Code::kUnavailable);
  EXPECT_EQ(code_of("HTTP/1.1 200 OK\r\n\r\n<html>"), Code::kInvalidArgument);
  EXPECT_EQ(code_of("HTTP/1.1 200 OK\r\n\r\n{\"version\": \"2\"}"), Code::kInvalidArgument);
  EXPECT_EQ(code_of("SSH-2.0"), Code::kInvalidArgument);
  EXPECT_EQ(code_of(""), Code::kUnavailable);
}

TEST(Discover, AnAnswerThatWasCutIsNone) {
  for (const char* cut : {"HT", "HTTP/1.1 200 OK\r\nContent-Le",
                          "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{\"grpc_endpoint",
                          "HTTP/1.1 404 Not Found\r\nContent-Length: 26\r\n\r\n",
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{\"grpc",
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"}) {
    EXPECT_EQ(code_of(cut), Code::kUnavailable) << cut;
  }
}

TEST(Discover, ReadsNoMoreThanTheLength) {
  const auto answer = parse_http_answer("HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\n{}more");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "{}");
}

TEST(Discover, AHugeAnswerIsNotOurs) {
  const std::string page = "HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n";
  EXPECT_EQ(parse_http_answer(page + std::string(1 << 20, ' ')).status, 200);
}

TEST(Discover, AServerThatListensEverywhereIsWhereWeCame) {
  EXPECT_EQ(seen_from(":5001", "ada").text(), "ada:5001");
  EXPECT_EQ(seen_from("0.0.0.0:6001", "ada").text(), "ada:6001");
  EXPECT_EQ(seen_from("[::]:6001", "ada").text(), "ada:6001");
  EXPECT_EQ(seen_from("bob", "ada").text(), "bob:5001");
}

}  // namespace
}  // namespace runwire
