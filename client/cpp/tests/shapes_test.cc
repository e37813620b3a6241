#include "shapes.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "runwire/error.h"

namespace runwire {
namespace {

Shape& find(Shapes& shapes, const std::vector<Value>& values) {
  return shapes.find(values.data(), values.size());
}

TEST(Shapes, TheSameKeysAreTheSameShape) {
  Shapes shapes;
  Shape& both = find(shapes, {{"a", 1}, {"b", 2}});
  Shape& one = find(shapes, {{"a", 1}});
  EXPECT_EQ(&find(shapes, {{"a", 3}, {"b", 4}}), &both);
  EXPECT_EQ(&find(shapes, {{"a", 3}}), &one);
  EXPECT_NE(&find(shapes, {{"b", 3}, {"a", 4}}), &both);
  EXPECT_EQ(both.ids, (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(one.ids, std::vector<std::uint32_t>{1});
  EXPECT_EQ(shapes.name(2), "b");
}

TEST(Shapes, AreFoundAmongManyInAnyOrder) {
  Shapes shapes;
  std::vector<Shape*> made;
  for (int i = 0; i < 1000; ++i) made.push_back(&find(shapes, {{"key/" + std::to_string(i), 0}}));
  for (int i = 0; i < 1000; ++i) {
    const int place = i * 617 % 1000;
    EXPECT_EQ(&find(shapes, {{"key/" + std::to_string(place), 0}}),
              made[static_cast<std::size_t>(place)]);
  }
}

TEST(Shapes, BeyondManyAreForgottenAndKeysKeepTheirNumbers) {
  Shapes shapes;
  const std::weak_ptr<Shape> first = find(shapes, {{"a", 1}, {"b", 2}}).weak_from_this();
  const std::shared_ptr<Shape> held = find(shapes, {{"b", 1}}).shared_from_this();
  for (std::size_t i = 0; i < Shapes::kMost; ++i) find(shapes, {{"key/" + std::to_string(i), 0}});
  EXPECT_TRUE(first.expired());
  EXPECT_EQ(held->keys, std::vector<std::string>{"b"});
  EXPECT_EQ(find(shapes, {{"a", 1}, {"b", 2}}).ids, (std::vector<std::uint32_t>{1, 2}));
}

TEST(Shapes, KeysThatCanNeverBeRightAreRefused) {
  Shapes shapes;
  EXPECT_THROW(find(shapes, {{"", 1}}), Error);
  EXPECT_THROW(find(shapes, {{"\xFF", 1}}), Error);
  EXPECT_THROW(find(shapes, {{"a", 1}, {"a", 2}}), Error);
  EXPECT_THROW(find(shapes, {{std::string(5000, 'x'), 1}}), Error);
  EXPECT_EQ(find(shapes, {{"a", 1}}).ids, std::vector<std::uint32_t>{1});
}

}  // namespace
}  // namespace runwire
