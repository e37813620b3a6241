#include "json.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/json_util.h>
#include <openssl/evp.h>

#include <stdexcept>

namespace conformance {

const Value* Arguments::find(const std::string& name) const {
  const auto found = fields_.fields().find(name);
  return found == fields_.fields().end() || found->second.has_null_value() ? nullptr
                                                                           : &found->second;
}

std::string Arguments::text(const std::string& name) const {
  const Value* const found = find(name);
  return found == nullptr ? "" : found->string_value();
}

double Arguments::number(const std::string& name, double otherwise) const {
  const Value* const found = find(name);
  return found == nullptr ? otherwise : found->number_value();
}

bool Arguments::flag(const std::string& name, bool otherwise) const {
  const Value* const found = find(name);
  return found == nullptr ? otherwise : found->bool_value();
}

std::int64_t Arguments::int64(const std::string& name) const {
  const std::string found = text(name);
  return found.front() == '-' ? std::stoll(found) : static_cast<std::int64_t>(std::stoull(found));
}

std::vector<std::string> Arguments::texts(const std::string& name) const {
  std::vector<std::string> all;
  if (!has(name)) return all;
  for (const auto& one : find(name)->list_value().values()) all.push_back(one.string_value());
  return all;
}

std::map<std::string, std::string> Arguments::map(const std::string& name) const {
  std::map<std::string, std::string> all;
  if (!has(name)) return all;
  for (const auto& [key, one] : find(name)->struct_value().fields()) all[key] = one.string_value();
  return all;
}

std::vector<Arguments> Arguments::objects(const std::string& name) const {
  std::vector<Arguments> all;
  if (!has(name)) return all;
  for (const auto& one : find(name)->list_value().values()) all.emplace_back(one.struct_value());
  return all;
}

Struct parse(const std::string& line) {
  Struct fields;
  if (!google::protobuf::util::JsonStringToMessage(line, &fields).ok()) {
    throw std::runtime_error("no JSON");
  }
  return fields;
}

std::string print(const Struct& fields) {
  std::string line;
  if (!google::protobuf::util::MessageToJsonString(fields, &line).ok()) {
    throw std::runtime_error("the answer has no JSON");
  }
  return line;
}

Value value(const std::string& text) {
  Value made;
  made.set_string_value(text);
  return made;
}

Value value(const char* text) {
  return value(std::string(text));
}

Value value(double number) {
  Value made;
  made.set_number_value(number);
  return made;
}

Value value(bool flag) {
  Value made;
  made.set_bool_value(flag);
  return made;
}

Value value(const Struct& fields) {
  Value made;
  *made.mutable_struct_value() = fields;
  return made;
}

Value value(const std::vector<Value>& list) {
  Value made;
  made.mutable_list_value();
  for (const auto& one : list) *made.mutable_list_value()->add_values() = one;
  return made;
}

Value null() {
  Value made;
  made.set_null_value(google::protobuf::NULL_VALUE);
  return made;
}

Struct object(const std::vector<std::pair<std::string, Value>>& fields) {
  Struct made;
  for (const auto& [name, one] : fields) (*made.mutable_fields())[name] = one;
  return made;
}

std::string base64(const std::string& data) {
  std::string text((data.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(data.data()),
                                   static_cast<int>(data.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::string from_base64(const std::string& text) {
  std::string data(text.size() / 4 * 3 + 1, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(data.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) throw std::runtime_error("no base64");
  std::size_t padding = 0;
  while (padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  data.resize(static_cast<std::size_t>(size) - padding);
  return data;
}

std::string serialised(const google::protobuf::Message& message) {
  std::string data;
  {
    google::protobuf::io::StringOutputStream stream(&data);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return data;
}

}  // namespace conformance
