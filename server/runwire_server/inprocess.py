"""The same registered services without a socket: local mode, and the quickest tests.

``InProcessServer`` takes registrations as ``grpc.Server`` does; its ``channel`` is
accepted by the generated stubs. Messages are serialized both ways, so nothing is
shared between caller and service, and limits and errors are those of a socket.
A handler runs in the thread of its caller.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

import grpc

from runwire_server.interceptors import kind_of
from runwire_server.limits import LIMITS

Metadata = Sequence[tuple[str, str | bytes]]


class InProcessServer:
    """Holds the services; ``interceptors`` see every call, the first one outermost."""

    def __init__(self, interceptors: Sequence[grpc.ServerInterceptor] = ()):
        self._handlers: dict[str, Any] = {}
        self._interceptors = interceptors
        self.channel = InProcessChannel(self)

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """As ``grpc.Server`` has it. Services register by method below; nothing is left to do."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        self._handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    def handler(self, method: str, metadata: Metadata) -> Any:
        """The handler of a method behind its interceptors. Raises an UNIMPLEMENTED RpcError."""
        details = _CallDetails(method, metadata)

        def continuation(_details: grpc.HandlerCallDetails) -> Any:
            return self._handlers.get(method)

        found: Any = continuation
        for interceptor in reversed(self._interceptors):
            found = _bind(interceptor, found)
        handler = found(details)
        if handler is None:
            raise InProcessError(grpc.StatusCode.UNIMPLEMENTED, f"no method {method}")
        return handler


def _bind(interceptor: grpc.ServerInterceptor, inner: Any) -> Callable[[Any], Any]:
    return lambda details: interceptor.intercept_service(inner, details)


class _CallDetails(grpc.HandlerCallDetails):
    def __init__(self, method: str, metadata: Metadata):
        self.method = method
        self.invocation_metadata = tuple(metadata)


class InProcessError(grpc.RpcError):
    """How a call ended, with the accessors that a call over a socket has."""

    def __init__(self, code: grpc.StatusCode, details: str, trailing: Metadata = ()):
        super().__init__(f"{code.name}: {details}")
        self._code, self._details, self._trailing = code, details, tuple(trailing)

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return self._trailing


class InProcessContext(grpc.ServicerContext):
    """What a handler may ask about its call."""

    def __init__(self, timeout_s: float | None, metadata: Metadata):
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._metadata = tuple(metadata)
        self._active = True
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    def is_active(self) -> bool:
        return self._active

    def time_remaining(self) -> Any:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def cancel(self) -> bool:
        self.finish()
        return True

    def add_callback(self, callback: Callable[[], None]) -> bool:
        with self._lock:
            if self._active:
                self._callbacks.append(callback)
            return self._active

    def finish(self) -> None:
        """The call is over, for whatever reason, from any thread; callbacks run once."""
        with self._lock:
            self._active = False
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise InProcessError(code, details)

    def abort_with_status(self, status: Any) -> NoReturn:
        raise InProcessError(status.code, status.details, status.trailing_metadata)

    def invocation_metadata(self) -> Any:
        return self._metadata

    def peer(self) -> str:
        return "in-process"

    def peer_identities(self) -> None:
        return None

    def peer_identity_key(self) -> None:
        return None

    def auth_context(self) -> dict[str, Any]:
        return {}

    def send_initial_metadata(self, initial_metadata: Any) -> None:
        """Nobody reads it in-process."""

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        """Nobody reads it in-process, but on errors, which bring their own."""

    def set_code(self, code: grpc.StatusCode) -> None:
        raise NotImplementedError("services raise typed errors")

    def set_details(self, details: str) -> None:
        raise NotImplementedError("services raise typed errors")


class InProcessChannel:
    """As much of ``grpc.Channel`` as the generated stubs and our client use."""

    def __init__(self, server: InProcessServer):
        self._server = server

    def unary_unary(
        self, method: str, request_serializer: Any, response_deserializer: Any, **_: Any
    ) -> Any:
        return self._callable(method, request_serializer, response_deserializer)

    unary_stream = stream_unary = stream_stream = unary_unary

    def _callable(self, method: str, serialize: Any, deserialize: Any) -> Any:
        def call(
            request: Any, timeout: float | None = None, metadata: Metadata | None = None, **_: Any
        ) -> Any:
            handler = self._server.handler(method, metadata or ())
            context = InProcessContext(timeout, metadata or ())
            invoke = _stream if handler.response_streaming else _unary
            return invoke(handler, request, context, serialize, deserialize)

        return call

    def close(self) -> None:
        """Nothing is held: the services belong to whoever made the server."""


def _argument(handler: Any, request: Any, serialize: Any) -> Any:
    def carry(message: Any) -> Any:
        data = serialize(message)
        if len(data) > LIMITS.max_message_bytes:
            raise InProcessError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"Received message larger than max ({len(data)} vs. {LIMITS.max_message_bytes})",
            )
        return handler.request_deserializer(data)

    return map(carry, request) if handler.request_streaming else carry(request)


def _unary(
    handler: Any, request: Any, context: InProcessContext, serialize: Any, deserialize: Any
) -> Any:
    try:
        response = getattr(handler, kind_of(handler))(
            _argument(handler, request, serialize), context
        )
        return deserialize(handler.response_serializer(response))
    finally:
        context.finish()


def _stream(
    handler: Any, request: Any, context: InProcessContext, serialize: Any, deserialize: Any
) -> InProcessStream:
    responses = getattr(handler, kind_of(handler))(_argument(handler, request, serialize), context)
    return InProcessStream(responses, context, handler.response_serializer, deserialize)


class InProcessStream:
    """The responses of a streaming call; ``cancel`` ends it, from any thread."""

    def __init__(
        self, responses: Iterator[Any], context: InProcessContext, serialize: Any, deserialize: Any
    ):
        self._responses, self._context = responses, context
        self._serialize, self._deserialize = serialize, deserialize

    def __iter__(self) -> InProcessStream:
        return self

    def __next__(self) -> Any:
        if not self._context.is_active():
            raise InProcessError(grpc.StatusCode.CANCELLED, "the call was cancelled")
        try:
            return self._deserialize(self._serialize(next(self._responses)))
        except BaseException:
            self._context.finish()
            raise

    def cancel(self) -> None:
        self._context.cancel()
