// Fetching bytes: all of them are checked before it is done.
#pragma once

#include <iosfwd>
#include <string>

#include "caller.h"
#include "runwire/artifacts.h"

namespace runwire {

// Writes a whole file through cuts. Throws Error, also where the digest is not that of the bytes.
v1::Blob receive(Caller& caller, const ArtifactOwner& owner, const std::string& path,
                 std::ostream& stream, const TransferOptions& options);

}  // namespace runwire
