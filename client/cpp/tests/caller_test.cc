#include <gtest/gtest.h>
#include <poll.h>

#include <future>
#include <thread>

#include "fake_server.h"
#include "listener.h"
#include "runwire/client.h"
#include "runwire/grpc.h"

namespace runwire {
namespace {

using std::chrono::milliseconds;

// What GetRun fails with.
Error error_of_get(const Client& client, const CallOptions& options = {}) {
  try {
    client.runs().get("0", options);
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::kOk, "it did not fail");
}

TEST(Caller, TriesAgainWhatMayBeRepeated) {
  FakeServer server;
  server.runs.answer = [](int call, auto&) {
    return call < 3 ? failure(grpc::UNAVAILABLE, "DRAINING", 1) : grpc::Status::OK;
  };
  EXPECT_EQ(Client(server.uri()).runs().get("7").run_id(), "7");
  EXPECT_EQ(server.runs.calls(), 3);
}

TEST(Caller, GivesUpAfterFiveAttempts) {
  FakeServer server;
  server.runs.answer = [](int, auto&) { return failure(grpc::UNAVAILABLE, "OVERLOADED", 1); };
  EXPECT_EQ(error_of_get(Client(server.uri())).reason(), "OVERLOADED");
  EXPECT_EQ(server.runs.calls(), 5);
}

TEST(Caller, TriesOnceWhatWouldFailAgain) {
  for (const auto& status : {failure(grpc::UNAVAILABLE, "STORAGE_UNAVAILABLE", 1),
                             failure(grpc::NOT_FOUND, "NOT_FOUND")}) {
    FakeServer server;
    server.runs.answer = [&](int, auto&) { return status; };
    EXPECT_EQ(static_cast<int>(error_of_get(Client(server.uri())).code()), status.error_code());
    EXPECT_EQ(server.runs.calls(), 1);
  }
}

TEST(Caller, TheTimeoutIsThatOfAllAttempts) {
  FakeServer server;
  server.runs.answer = [](int, auto&) { return failure(grpc::UNAVAILABLE, "DRAINING", 9'000); };
  CallOptions options;
  options.timeout = std::chrono::seconds(8);
  EXPECT_EQ(error_of_get(Client(server.uri()), options).reason(), "DRAINING");
  EXPECT_EQ(server.runs.calls(), 1);
}

TEST(Caller, ACallEndsAtItsTimeout) {
  FakeServer server;
  server.runs.answer = [](int, auto& context) {
    while (!context.IsCancelled()) std::this_thread::sleep_for(milliseconds(1));
    return grpc::Status::CANCELLED;
  };
  CallOptions options;
  options.timeout = milliseconds(50);
  EXPECT_EQ(error_of_get(Client(server.uri()), options).code(), Code::kDeadlineExceeded);
  EXPECT_LE(server.runs.calls(), 1);  // 0: they passed while it connected
}

TEST(Caller, TheLongestTimeoutIsForEver) {
  FakeServer server;
  std::chrono::system_clock::time_point deadline;
  server.runs.answer = [&](int, auto& context) {
    deadline = context.deadline();
    return grpc::Status::OK;
  };
  CallOptions options;
  options.timeout = milliseconds::max();
  EXPECT_EQ(error_of_get(Client(server.uri()), options).code(), Code::kOk);
  EXPECT_GT(deadline, std::chrono::system_clock::now() + std::chrono::hours(1));
}

TEST(Caller, ACallIsCancelledFromElsewhere) {
  FakeServer server;
  CallOptions options;
  options.cancellation.emplace();
  server.runs.answer = [&](int, auto& context) {
    options.cancellation->cancel();
    while (!context.IsCancelled()) std::this_thread::sleep_for(milliseconds(1));
    return grpc::Status::CANCELLED;
  };
  EXPECT_EQ(error_of_get(Client(server.uri()), options).code(), Code::kCancelled);
  EXPECT_EQ(error_of_get(Client(server.uri()), options).code(), Code::kCancelled);
}

TEST(Caller, SaysWhoCalls) {
  FakeServer server;
  std::multimap<std::string, std::string> sent;
  server.runs.answer = [&](int, auto& context) {
    for (const auto& [key, value] : context.client_metadata()) {
      sent.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
    }
    return grpc::Status::OK;
  };
  ClientOptions options;
  options.token = "secret";
  options.user = "jörg";
  Client(server.uri(), options).runs().get("0");
  EXPECT_EQ(sent.find("authorization")->second, "Bearer secret");
  EXPECT_EQ(sent.find("runwire-client")->second, "cpp/0.1.0");
  EXPECT_EQ(sent.find("runwire-user")->second, "j%C3%B6rg");
  EXPECT_EQ(sent.find("user-agent")->second.rfind("runwire-cpp/0.1.0", 0), 0U);
}

TEST(Caller, GeneratedStubsGoOverTheSameConnection) {
  FakeServer server;
  const Client client(server.uri());
  const auto stub = v1::RunService::NewStub(channel(client));
  grpc::ClientContext context;
  add_metadata(client, context);
  v1::GetRunRequest request;
  request.set_run_id("9");
  v1::GetRunResponse response;
  ASSERT_TRUE(stub->GetRun(&context, request, &response).ok());
  EXPECT_EQ(response.run().run_id(), "9");
}

TEST(Caller, SeveralServersAreUsedPastOneThatIsGone) {
  FakeServer here;
  std::string gone;
  { gone = FakeServer().uri(); }
  const Client client("grpc://" + gone.substr(7) + "," + here.uri().substr(7));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(client.runs().get("1").run_id(), "1");
}

// Until somebody has come to it.
void await_caller(const Listener& silent) {
  pollfd one{silent.descriptor, POLLIN, 0};
  poll(&one, 1, -1);
}

TEST(Caller, DiscoveryEndsAtTheTimeoutOfTheCall) {
  const Listener server;
  for (const char* scheme : {"http://", "https://"}) {
    const Client client(scheme + server.authority);
    CallOptions options;
    options.timeout = milliseconds(50);
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(error_of_get(client, options).code(), Code::kDeadlineExceeded);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(8));
  }
}

TEST(Caller, DiscoveryIsCancelledAndKeepsNobodyElse) {
  const Listener server;
  const Client client("http://" + server.authority);
  CallOptions longest;
  longest.timeout = milliseconds::max();
  longest.cancellation.emplace();
  auto first = std::async(std::launch::async, [&] { return error_of_get(client, longest).code(); });
  await_caller(server);
  CallOptions hasty;
  hasty.timeout = milliseconds(50);
  EXPECT_EQ(error_of_get(client, hasty).code(), Code::kDeadlineExceeded);
  longest.cancellation->cancel();
  EXPECT_EQ(first.get(), Code::kCancelled);
}

}  // namespace
}  // namespace runwire
