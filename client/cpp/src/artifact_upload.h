// Sending bytes: ask what is missing, send that, and only then name it.
#pragma once

#include <string>

#include "artifact_source.h"
#include "caller.h"
#include "runwire/artifacts.h"

namespace runwire {

// Sends the bytes that the server lacks.
void send(Caller& caller, Source& source, const TransferOptions& options);

// Names them.
void commit(Caller& caller, const std::string& run_id, const std::string& path,
            const Source& source, const TransferOptions& options);

}  // namespace runwire
