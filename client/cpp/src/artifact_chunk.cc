#include "artifact_chunk.h"

#include <utility>

#include "crc32c.h"
#include "runwire/error.h"

namespace runwire {

void fill(v1::Chunk& chunk, std::int64_t offset, std::string data) {
  chunk.set_offset(offset);
  chunk.set_plain_size(static_cast<std::int32_t>(data.size()));
  chunk.set_crc32c(crc32c(data));
  chunk.set_data(std::move(data));
}

void check(const v1::Chunk& chunk, std::int64_t offset) {
  const std::string place = std::to_string(offset);
  if (chunk.offset() != offset) {
    throw Error(Code::kInternal, "a chunk at " + std::to_string(chunk.offset()) + " came where " +
                                     place + " was due");
  }
  if (chunk.codec() != v1::CODEC_UNSPECIFIED) {
    throw Error(Code::kInternal, "the chunk at " + place + " is packed as we did not ask for");
  }
  if (chunk.has_crc32c() && crc32c(chunk.data()) != chunk.crc32c()) {
    throw Error(Code::kInvalidArgument, "the chunk at " + place + " was damaged on its way",
                "CHECKSUM_MISMATCH", {{"offset", place}});
  }
}

}  // namespace runwire
