// A reader of protobuf's wire format, for messages that have no generated code here.
// Reference: https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace runwire {

// One field: a varint, or bytes.
struct WireField {
  std::uint32_t number = 0;
  std::uint64_t varint = 0;
  std::string_view bytes;
};

// Goes through the fields of a message; fixed-width ones come without their value.
class WireReader {
 public:
  explicit WireReader(std::string_view data) : data_(data) {}

  // False: at the end, or damaged.
  bool next(WireField& field) {
    if (data_.empty()) return false;
    std::uint64_t tag = 0;
    field = {};
    if (!varint(tag)) return false;
    field.number = static_cast<std::uint32_t>(tag >> 3);
    switch (tag & 7) {
      case 0:
        return varint(field.varint);
      case 1:
        return skip(8);
      case 2: {
        std::uint64_t size = 0;
        if (!varint(size) || size > data_.size()) return damaged();
        field.bytes = data_.substr(0, size);
        data_.remove_prefix(size);
        return true;
      }
      case 5:
        return skip(4);
      default:
        return damaged();
    }
  }

  bool is_damaged() const { return damaged_; }

 private:
  bool varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 70 && !data_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(data_.front());
      data_.remove_prefix(1);
      if (shift < 64) value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return true;
    }
    return damaged();
  }

  bool skip(std::size_t bytes) {
    if (bytes > data_.size()) return damaged();
    data_.remove_prefix(bytes);
    return true;
  }

  bool damaged() {
    damaged_ = true;
    return false;
  }

  std::string_view data_;
  bool damaged_ = false;
};

}  // namespace runwire
