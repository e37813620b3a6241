"""What a call can fail with: one class per gRPC status, one ``reason`` per cause.

RunwireError
├── InvalidArgumentError     an argument can never be right; metadata["field"] names it
├── NotFoundError            it does not exist, or (reason DELETED) is in the trash
├── AlreadyExistsError
├── FailedPreconditionError  its state does not allow it: a finished run, a sealed tree
├── ConflictError            somebody was faster (gRPC's ABORTED): read again, then decide
├── OutOfRangeError          go on from the position in metadata
├── ResourceExhaustedError   TOO_LARGE, or over a QUOTA
├── UnavailableError         the server is away or overloaded: the same call may work later
│   └── DeadlineExceededError    no answer in time; it may have happened all the same
├── CancelledError
├── PermissionDeniedError
├── UnauthenticatedError
├── UnimplementedError       this server does not offer it
├── InternalError            a fault of the server; its log has metadata["request_id"]
└── DataLossError            stored data is damaged and cannot be read

``reason`` is a name from ``ErrorReason`` in ``protos/runwire/v1/error.proto``, or empty
where the transport failed and not the service; ``metadata`` holds what the message names.
Standard library only: the fluent API raises these without importing grpc.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runwire.v1.common_pb2 import Fault


class RunwireError(Exception):
    """Anything that went wrong between this program and its tracking server.

    >>> try:
    ...     client.runs.get("0" * 32)
    ... except runwire.RunwireError as error:
    ...     print(error.reason, error.metadata["key"])
    """

    code_name = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ):
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s


class InvalidArgumentError(RunwireError, ValueError):
    """An argument can never be right: ``metadata["field"]`` names it."""

    code_name = "INVALID_ARGUMENT"


class NotFoundError(RunwireError, LookupError):
    """It does not exist, or (reason ``DELETED``) is in the trash."""

    code_name = "NOT_FOUND"


class AlreadyExistsError(RunwireError):
    """The name or id is taken."""

    code_name = "ALREADY_EXISTS"


class FailedPreconditionError(RunwireError):
    """The state of the thing does not allow it: a finished run, a sealed tree."""

    code_name = "FAILED_PRECONDITION"


class ConflictError(RunwireError):
    """Somebody was faster (gRPC's ABORTED): read again, then decide again."""

    code_name = "ABORTED"


class OutOfRangeError(RunwireError):
    """Go on from the position that ``metadata`` tells."""

    code_name = "OUT_OF_RANGE"


class ResourceExhaustedError(RunwireError):
    """Too large (``TOO_LARGE``) or over a quota (``QUOTA``)."""

    code_name = "RESOURCE_EXHAUSTED"


class UnavailableError(RunwireError):
    """The server is away, restarting or overloaded; the same call may work later."""

    code_name = "UNAVAILABLE"


class DeadlineExceededError(UnavailableError):
    """No answer within the deadline. What was asked for may have happened all the same."""

    code_name = "DEADLINE_EXCEEDED"


class CancelledError(RunwireError):
    """The call was cancelled, here or on the way."""

    code_name = "CANCELLED"


class PermissionDeniedError(RunwireError):
    """Whoever asked is known, and may not."""

    code_name = "PERMISSION_DENIED"


class UnauthenticatedError(RunwireError):
    """The server does not know who asks; RUNWIRE_TOKEN is missing or wrong."""

    code_name = "UNAUTHENTICATED"


class UnimplementedError(RunwireError):
    """This server does not offer it."""

    code_name = "UNIMPLEMENTED"


class InternalError(RunwireError):
    """A fault of the server: its log has it under ``metadata["request_id"]``."""

    code_name = "INTERNAL"


class DataLossError(RunwireError):
    """Stored data is damaged and cannot be read."""

    code_name = "DATA_LOSS"


_BY_CODE_NAME = {
    error.code_name: error
    for error in (
        InvalidArgumentError,
        NotFoundError,
        AlreadyExistsError,
        FailedPreconditionError,
        ConflictError,
        OutOfRangeError,
        ResourceExhaustedError,
        UnavailableError,
        DeadlineExceededError,
        CancelledError,
        PermissionDeniedError,
        UnauthenticatedError,
        UnimplementedError,
        InternalError,
        DataLossError,
    )
}

# The codes of ErrorReason: an entry's fault inside a batch carries the reason alone.
_CODE_OF_REASON = {
    "NOT_FOUND": "NOT_FOUND",
    "DELETED": "NOT_FOUND",
    "ALREADY_EXISTS": "ALREADY_EXISTS",
    "REQUEST_ID_REUSED": "ALREADY_EXISTS",
    "FIELD_INVALID": "INVALID_ARGUMENT",
    "FILTER_SYNTAX": "INVALID_ARGUMENT",
    "PAGE_TOKEN_MISMATCH": "INVALID_ARGUMENT",
    "DIGEST_MISMATCH": "INVALID_ARGUMENT",
    "CHECKSUM_MISMATCH": "INVALID_ARGUMENT",
    "PARAM_CONFLICT": "FAILED_PRECONDITION",
    "RUN_SEALED": "FAILED_PRECONDITION",
    "BLOBS_MISSING": "FAILED_PRECONDITION",
    "STAGE_CHANGED": "FAILED_PRECONDITION",
    "TREE_SEALED": "FAILED_PRECONDITION",
    "ETAG_MISMATCH": "ABORTED",
    "ALIAS_MOVED": "ABORTED",
    "SEQUENCE_GAP": "OUT_OF_RANGE",
    "OFFSET_GAP": "OUT_OF_RANGE",
    "REVISION_AHEAD": "OUT_OF_RANGE",
    "TOO_LARGE": "RESOURCE_EXHAUSTED",
    "QUOTA": "RESOURCE_EXHAUSTED",
    "OVERLOADED": "UNAVAILABLE",
    "DRAINING": "UNAVAILABLE",
    "STORAGE_UNAVAILABLE": "UNAVAILABLE",
    "DATA_DAMAGED": "DATA_LOSS",
    "INTERNAL": "INTERNAL",
    "UNIMPLEMENTED": "UNIMPLEMENTED",
}


def error_class(code_name: str) -> type[RunwireError]:
    """The class of a gRPC code; ``RunwireError`` itself for UNKNOWN."""
    return _BY_CODE_NAME.get(code_name, RunwireError)


def from_fault(fault: Fault) -> RunwireError:
    """The error of one entry of a batch, as a call of its own would have raised it."""
    made = error_class(_CODE_OF_REASON.get(fault.reason, "UNKNOWN"))
    return made(fault.message, reason=fault.reason, metadata=fault.metadata)


def invalid(field: str, problem: str) -> InvalidArgumentError:
    """What this side finds wrong with an argument before it asks the server."""
    return InvalidArgumentError(
        f"{field}: {problem}", reason="FIELD_INVALID", metadata={"field": field}
    )
