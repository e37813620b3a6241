// Does what requests on standard input say, see tests/conformance/README.md.
#include <iostream>
#include <string>

#include "json.h"
#include "operations.h"

namespace conformance {
namespace {

Struct answer(Operations& operations, const Struct& request) {
  const auto& fields = request.fields();
  Struct made;
  (*made.mutable_fields())["id"] = fields.at("id");
  try {
    const Arguments args(fields.at("args").struct_value());
    (*made.mutable_fields())["ok"] = value(operations.call(fields.at("op").string_value(), args));
  } catch (const runwire::Error& error) {
    (*made.mutable_fields())["error"] = value(told(error));
  } catch (const std::exception& error) {  // a fault of the runner, which the suite must see
    (*made.mutable_fields())["error"] =
        value(object({{"code", value("RUNNER")}, {"message", value(error.what())}}));
  }
  return made;
}

}  // namespace
}  // namespace conformance

int main() {
  std::ios::sync_with_stdio(false);
  conformance::Operations operations;
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << conformance::print(conformance::answer(operations, conformance::parse(line)))
              << std::endl;
  }
}
