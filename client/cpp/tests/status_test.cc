#include "status.h"

#include <gtest/gtest.h>

#include "fake_server.h"

namespace runwire {
namespace {

TEST(Status, CarriesReasonMetadataAndDelay) {
  const auto error = error_of(failure(grpc::UNAVAILABLE, "OVERLOADED", 250), "grpc://ada");
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_EQ(error.reason(), "OVERLOADED");
  EXPECT_EQ(error.metadata().at("kind"), "run");
  EXPECT_EQ(error.retry_after(), std::chrono::milliseconds(250));
  EXPECT_STREQ(error.what(), "it failed");
}

TEST(Status, OfTheTransportSaysWhereAndHasNoReason) {
  const auto error = error_of({grpc::UNAVAILABLE, "refused"}, "grpc://ana:secret@ada");
  EXPECT_EQ(error.reason(), "");
  EXPECT_NE(std::string(error.what()).find("grpc://ana:***@ada (refused)"), std::string::npos);
}

TEST(Status, ThatIsCutShortIsNone) {
  const std::string whole = failure(grpc::NOT_FOUND, "DELETED", 1).error_details();
  int parsed = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto details = parse_status(std::string_view(whole).substr(0, size));
    if (details) ++parsed;
  }
  EXPECT_EQ(parsed, 3);  // nothing, the message, the message and the first detail
  EXPECT_FALSE(parse_status("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"));
  EXPECT_FALSE(parse_status("\x1B"));
}

TEST(Status, OfAFaultIsThatOfACall) {
  v1::Fault fault;
  fault.set_reason("ALIAS_MOVED");
  fault.set_message("it points elsewhere");
  (*fault.mutable_metadata())["alias"] = "champion";
  const auto error = error_of(fault);
  EXPECT_EQ(error.code(), Code::kAborted);
  EXPECT_EQ(error.metadata().at("alias"), "champion");
  fault.set_reason("OF_A_NEWER_SERVER");
  EXPECT_EQ(error_of(fault).code(), Code::kUnknown);
}

TEST(Status, CodesHaveTheNamesOfGrpc) {
  EXPECT_EQ(code_name(Code::kNotFound), "NOT_FOUND");
  EXPECT_EQ(code_name(Code::kUnauthenticated), "UNAUTHENTICATED");
  EXPECT_EQ(code_name(static_cast<Code>(99)), "UNKNOWN");
}

}  // namespace
}  // namespace runwire
