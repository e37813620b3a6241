"""Runwire: experiment tracking over gRPC.

>>> import runwire
>>> runwire.set_experiment("nyc-taxi")
>>> with runwire.start_run(run_name="baseline"):
...     runwire.log_param("alpha", 0.01)
...     runwire.log_metric("rmse", 6.3, step=1)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runwire._errors import (
    AlreadyExistsError,
    CancelledError,
    ConflictError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ResourceExhaustedError,
    RunwireError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)

if TYPE_CHECKING:
    from runwire._client import Client as Client

__version__ = "0.1.0"

__all__ = [
    "Client",
    "AlreadyExistsError",
    "CancelledError",
    "ConflictError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "RunwireError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
]


def __getattr__(name: str) -> object:
    if name == "Client":
        from runwire._client import Client

        return Client
    raise AttributeError(f"module 'runwire' has no attribute {name!r}")
