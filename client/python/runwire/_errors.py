"""Everything that a call can raise, seen at a glance.

RunwireError
├── InvalidArgumentError     an argument is wrong; metadata["field"] names it
├── NotFoundError            no such thing, or it is in the trash
├── AlreadyExistsError
├── FailedPreconditionError  it is in the wrong state for this (a finished run, …)
├── ConflictError            somebody changed it meanwhile: read again, then retry
├── OutOfRangeError          go on from the position in metadata
├── ResourceExhaustedError   too large, or a limit is reached
├── UnavailableError         the server is away or has too much to do: try later
├── DeadlineError            no answer in time
├── CancelledError
├── UnimplementedError       this server does not offer it
└── InternalError            a fault of the server
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runwire.v1.common_pb2 import Fault


class RunwireError(Exception):
    """``reason`` is a name of ErrorReason; what the message names is in ``metadata``."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        code_name: str = "",
        retry_after_s: float | None = None,
    ):
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.code_name = code_name
        self.retry_after_s = retry_after_s


class InvalidArgumentError(RunwireError, ValueError):
    """An argument is wrong: it will never succeed as it is."""


class NotFoundError(RunwireError, LookupError):
    """No such thing, or it is in the trash (reason DELETED)."""


class AlreadyExistsError(RunwireError):
    """The name or id is taken."""


class FailedPreconditionError(RunwireError):
    """It is in the wrong state for this."""


class ConflictError(RunwireError):
    """Somebody changed it meanwhile: read again, then retry."""


class OutOfRangeError(RunwireError):
    """Go on from the position that ``metadata`` tells."""


class ResourceExhaustedError(RunwireError):
    """Too large, or a limit is reached."""


class UnavailableError(RunwireError, ConnectionError):
    """The server is away, or has too much to do: try again later."""


class DeadlineError(RunwireError, TimeoutError):
    """No answer in time."""


class CancelledError(RunwireError):
    """The call was cancelled."""


class UnimplementedError(RunwireError, NotImplementedError):
    """This server does not offer it."""


class InternalError(RunwireError):
    """A fault of the server; ``metadata["request_id"]`` finds it in its log."""


BY_CODE: dict[str, type[RunwireError]] = {
    "INVALID_ARGUMENT": InvalidArgumentError,
    "NOT_FOUND": NotFoundError,
    "ALREADY_EXISTS": AlreadyExistsError,
    "FAILED_PRECONDITION": FailedPreconditionError,
    "ABORTED": ConflictError,
    "OUT_OF_RANGE": OutOfRangeError,
    "RESOURCE_EXHAUSTED": ResourceExhaustedError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineError,
    "CANCELLED": CancelledError,
    "UNIMPLEMENTED": UnimplementedError,
    "INTERNAL": InternalError,
}

# The class of a Fault, which has no status code of its own.
_BY_REASON: dict[str, type[RunwireError]] = {
    "NOT_FOUND": NotFoundError,
    "DELETED": NotFoundError,
    "ALREADY_EXISTS": AlreadyExistsError,
    "FIELD_INVALID": InvalidArgumentError,
    "DIGEST_MISMATCH": InvalidArgumentError,
    "PARAM_CONFLICT": FailedPreconditionError,
    "TOO_LARGE": ResourceExhaustedError,
    "QUOTA": ResourceExhaustedError,
    "OVERLOADED": UnavailableError,
    "STORAGE_UNAVAILABLE": UnavailableError,
}


def from_fault(fault: Fault) -> RunwireError:
    """The error that one entry's fault inside a batch or stream stands for."""
    kind = _BY_REASON.get(fault.reason, RunwireError)
    return kind(fault.message, reason=fault.reason, metadata=fault.metadata)
