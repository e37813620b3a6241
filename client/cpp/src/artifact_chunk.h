// Chunks of a blob, with their checksum.
#pragma once

#include <string>

#include "runwire/v1/artifact.pb.h"

namespace runwire {

void fill(v1::Chunk& chunk, std::int64_t offset, std::string data);

// Throws Error for a chunk that does not follow on `offset`, or was damaged on its way.
void check(const v1::Chunk& chunk, std::int64_t offset);

}  // namespace runwire
