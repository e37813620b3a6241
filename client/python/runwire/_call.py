"""One door to the services: deadlines, retries, typed errors, forks.

Every call of ``Client`` goes through a ``Caller``. What may be tried again is not decided
here: the ``idempotency_level`` of the method in the protos says it.
"""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from runwire import _source
from runwire._errors import CancelledError, ResourceExhaustedError, RunwireError, UnavailableError
from runwire._fork import gate
from runwire._settings import settings
from runwire._status import error_of
from runwire._uri import shown

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from runwire._connect import Connection

_SAFE_TO_REPEAT = (MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT)

# A server that restarts is back within these; one that is away is told within seconds.
ATTEMPTS = 5
FIRST_DELAY_S, MAX_DELAY_S = 0.2, 2.0
# What a server may ask for with RetryInfo, all attempts together.
PATIENCE_S = 10.0


class Caller:
    """Calls over one connection. Safe for threads, and after a fork.

    Methods are named by their generated stub: ``caller.unary(RunServiceStub, "GetRun", …)``.
    All raise ``RunwireError``.
    """

    def __init__(self, connection: Connection, *, timeout_s: float | None = None):
        found = settings()
        self.connection = connection
        self.timeout_s = found.timeout_s if timeout_s is None else timeout_s
        self.workspace = found.workspace
        self._metadata = _metadata(found.token)
        self._methods: dict[tuple[type, str], _Method] = {}
        self._generation = gate.generation

    def unary(
        self,
        stub: type,
        method: str,
        request: Message | Iterable[Message],
        *,
        timeout_s: float | None = None,
    ) -> Any:
        """One response, within ``timeout_s`` (default: the caller's), all attempts together.

        Tried again while the server is away or overloaded where the protos allow it. A
        stream of requests is consumed by the first attempt and never sent again.
        """
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        retry = Retry(deadline)
        while True:
            found = self._method(stub, method)
            try:
                return self._attempt(found, request, deadline)
            except RunwireError as error:
                if not (found.is_repeatable and retry.wait(error)):
                    raise

    def stream(
        self,
        stub: type,
        method: str,
        request: Message | Iterable[Message],
        *,
        timeout_s: float | None = None,
        opened: Callable[[Any], None] = lambda call: None,
    ) -> Generator[Any]:
        """The responses as they come; without a deadline unless ``timeout_s`` is given.

        Close it where it is not read to its end. ``opened`` is told the call, which any
        thread may cancel. A fork of this process ends it with
        ``UnavailableError``.
        """
        import grpc

        multicallable = self._method(stub, method).call
        forks = gate.forks
        with gate.passing():
            call = multicallable(request, timeout=timeout_s, metadata=self._metadata)
        # In process nothing of gRPC waits here, for which a fork would have to wait.
        passing: Callable[[], AbstractContextManager[None]] = nullcontext
        if not self.connection.is_local:
            passing = gate.passing
            gate.opened(call)
        opened(call)
        try:
            while True:
                with passing():
                    response = next(call, None)
                if response is None:
                    return
                yield response
        except grpc.RpcError as error:
            translated = error_of(error, shown(self.connection.uri))
            if isinstance(translated, CancelledError) and gate.forks != forks:
                raise UnavailableError("a fork of this process ended the stream") from None
            raise translated from None
        finally:
            call.cancel()

    def resuming(
        self, stub: type, method: str, request: Message, resume: Callable[[Any], None]
    ) -> Iterator[Any]:
        """As ``stream``, but a cut is mended: ``resume(response)``, called with each response
        before it is handed out, sets in ``request`` where the next attempt goes on."""
        retry = Retry(None)
        while True:
            try:
                for response in self.stream(stub, method, request):
                    retry = Retry(None)
                    resume(response)
                    yield response
                return
            except RunwireError as error:
                if not retry.wait(error):
                    raise

    def retry(self, attempts: int = ATTEMPTS, patience_s: float = PATIENCE_S) -> Retry:
        """Counts failures in a row, for calls without a deadline."""
        return Retry(None, attempts, patience_s)

    def close(self) -> None:
        self.connection.close()

    def _attempt(self, method: _Method, request: Any, deadline: float) -> Any:
        import grpc

        timeout_s = max(0.001, deadline - time.monotonic())
        try:
            with gate.passing():
                return method.call(request, timeout=timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            raise error_of(error, shown(self.connection.uri)) from None

    def _method(self, stub: type, name: str) -> _Method:
        if self._generation != gate.generation:  # a child of a fork, with a channel of its own
            self._methods, self._generation = {}, gate.generation
        found = self._methods.get((stub, name))
        if found is None:
            channel = self.connection.channel
            found = self._methods[stub, name] = _Method(
                getattr(stub(channel), name), _descriptor(stub, name)
            )
        return found


class _Method:
    """A multicallable, and whether a call may be made twice."""

    def __init__(self, call: Any, descriptor: MethodDescriptor):
        self.call = call
        level = descriptor.GetOptions().idempotency_level
        self.is_repeatable = level in _SAFE_TO_REPEAT and not descriptor.client_streaming


def _descriptor(stub: type, name: str) -> MethodDescriptor:
    messages = importlib.import_module(stub.__module__.removesuffix("_grpc"))
    service = messages.DESCRIPTOR.services_by_name[stub.__name__.removesuffix("Stub")]
    found: MethodDescriptor = service.methods_by_name[name]
    return found


class Retry:
    """Counts failures in a row and waits between them: what the server asks, and a delay that
    doubles, of which half is left to chance: the other half is time enough for a restart."""

    def __init__(
        self, deadline: float | None, attempts: int = ATTEMPTS, patience_s: float = PATIENCE_S
    ):
        self._deadline = deadline
        self._attempts, self._patience_s = attempts, patience_s
        self._failures = 0
        self._waited_s = 0.0

    def wait(self, error: RunwireError) -> bool:
        """Wait before another attempt; False, at once, where there is to be none."""
        self._failures += 1
        if not _is_passing(error) or self._failures >= self._attempts:
            return False
        ceiling = min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** (self._failures - 1))
        delay = error.retry_after_s or 0.0
        delay += random.uniform(ceiling / 2, ceiling)
        self._waited_s += delay
        if self._waited_s > self._patience_s:
            return False
        if self._deadline is not None and time.monotonic() + delay >= self._deadline:
            return False
        time.sleep(delay)
        return True


def _is_passing(error: RunwireError) -> bool:
    """Whether the same call may succeed in a moment."""
    if isinstance(error, ResourceExhaustedError):
        return error.retry_after_s is not None
    return error.code_name == "UNAVAILABLE" and error.reason != "STORAGE_UNAVAILABLE"


def _metadata(token: str) -> tuple[tuple[str, str], ...]:
    from runwire import __version__

    # Header values are ASCII.
    made = (
        ("runwire-client", f"python/{__version__}"),
        ("runwire-user", quote(_source.user(), safe=" ")),
    )
    return (*made, ("authorization", f"Bearer {token}")) if token else made
