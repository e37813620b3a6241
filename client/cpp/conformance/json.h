// JSON as the protocol of the suite needs it, by protobuf's own parser.
#pragma once

#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace conformance {

using google::protobuf::Struct;
using google::protobuf::Value;

// The arguments of a request, with what stands for those that were left out.
class Arguments {
 public:
  explicit Arguments(const Struct& fields) : fields_(fields) {}

  bool has(const std::string& name) const { return find(name) != nullptr; }
  std::string text(const std::string& name) const;
  double number(const std::string& name, double otherwise = 0) const;
  bool flag(const std::string& name, bool otherwise) const;
  std::int64_t int64(const std::string& name) const;
  std::vector<std::string> texts(const std::string& name) const;
  std::map<std::string, std::string> map(const std::string& name) const;
  std::vector<Arguments> objects(const std::string& name) const;

 private:
  const Value* find(const std::string& name) const;

  const Struct& fields_;
};

Struct parse(const std::string& line);
std::string print(const Struct& fields);

Value value(const std::string& text);
Value value(const char* text);
Value value(double number);
Value value(bool flag);
Value value(const Struct& fields);
Value value(const std::vector<Value>& list);
Value null();

// {"name": value, …}
Struct object(const std::vector<std::pair<std::string, Value>>& fields);

std::string base64(const std::string& data);
std::string from_base64(const std::string& text);

// In the one serialised form that it has.
std::string serialised(const google::protobuf::Message& message);

}  // namespace conformance
