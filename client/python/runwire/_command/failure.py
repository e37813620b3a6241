"""What a person is told when a command fails: one line, a hint, an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

FAILED, USAGE, NOT_FOUND, AWAY = 1, 2, 3, 4


class CommandError(Exception):
    """The command line itself cannot be served; ``hint`` says what would help."""

    def __init__(self, message: str, hint: str = "", code: int = FAILED):
        super().__init__(message)
        self.hint, self.code = hint, code


HINTS = {
    "DELETED": "'restore' takes it out of the trash",
    "FILTER_SYNTAX": "for instance: metrics.loss < 0.1 AND params.lr = '0.001'",
    "RUN_SEALED": "a finished run takes no data; resume it first",
    "ETAG_MISMATCH": "somebody changed it meanwhile; try again",
    "ALIAS_MOVED": "look with 'runwire models show' and try again",
    "STAGE_CHANGED": "look with 'runwire models show' and try again",
    "UNIMPLEMENTED": "'runwire doctor' shows the versions of client and server",
    "OVERLOADED": "try again in a moment",
    "DRAINING": "the server restarts; try again in a moment",
}
LISTS = {
    "run": "runwire runs ls",
    "experiment": "runwire experiments ls",
    "model": "runwire models ls",
    "deleted model": "runwire models ls --deleted",
    "model version": "runwire models versions MODEL",
    "alias": "runwire models show MODEL",
    "artifact": "runwire artifacts ls RUN",
}


def report(error: Exception, arguments: Sequence[str]) -> int:
    """Print the failure and return its exit code. RUNWIRE_TRACEBACK=1 shows all of it."""
    if os.environ.get("RUNWIRE_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    message, hint, code = _explain(error)
    line = "".join(one if one.isprintable() else " " for one in " ".join(message.split()))
    print(f"runwire: {line}" + (f" ({hint})" if hint else ""), file=sys.stderr)
    return code


def _explain(error: Exception) -> tuple[str, str, int]:
    from runwire import _errors

    if isinstance(error, CommandError):
        return str(error), error.hint, error.code
    if isinstance(error, _errors.RunwireError):
        return _explain_call(error)
    if isinstance(error, OSError):
        return f"{error.filename or ''}: {error.strerror or error}".lstrip(": "), "", FAILED
    if isinstance(error, ImportError):
        return str(error), "pip install 'runwire[server]' has all of it", FAILED
    if isinstance(error, ValueError):
        return str(error), "", FAILED
    fault = f"{type(error).__name__}: {error}"
    return fault, "a fault of runwire; RUNWIRE_TRACEBACK=1 shows where", FAILED


def _explain_call(error: Exception) -> tuple[str, str, int]:
    from runwire import _errors

    reason = str(getattr(error, "reason", ""))
    metadata = getattr(error, "metadata", {})
    hint = HINTS.get(reason, "")
    if isinstance(error, _errors.NotFoundError):
        listing = LISTS.get(metadata.get("kind", ""), "")
        return (
            str(error),
            hint or (f"'{listing}' shows what there is" if listing else ""),
            NOT_FOUND,
        )
    if isinstance(error, _errors.InvalidArgumentError):
        return str(error), hint, USAGE
    if isinstance(error, _errors.UnavailableError | _errors.DeadlineExceededError):
        return str(error), hint or "'runwire doctor' looks closer", AWAY
    return str(error), hint, FAILED
