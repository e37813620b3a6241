#include "runwire/pager.h"

#include <gtest/gtest.h>

#include "fake_server.h"
#include "runwire/client.h"

namespace runwire {
namespace {

TEST(Pager, ReadsAllPagesAndSkipsEmptyOnes) {
  std::vector<std::string> asked;
  Pager<int> pager([&](const std::string& token) {
    asked.push_back(token);
    if (token.empty()) return Pager<int>::Page{{1, 2}, "second"};
    if (token == "second") return Pager<int>::Page{{}, "third"};
    return Pager<int>::Page{{3}, ""};
  });
  EXPECT_TRUE(asked.empty());
  EXPECT_EQ(pager.to_vector(), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(asked, (std::vector<std::string>{"", "second", "third"}));
  EXPECT_EQ(pager.begin(), pager.end());
}

TEST(Pager, SearchesAsALoop) {
  FakeServer server;
  const Client client(server.uri());
  RunSearch search;
  search.page_size = 3;
  std::string ids;
  for (const auto& run : client.runs().search(search)) ids += run.run_id();
  EXPECT_EQ(ids, "0123456");
}

}  // namespace
}  // namespace runwire
