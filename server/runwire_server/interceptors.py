"""What happens to every call, over a socket or in-process, in one place.

A handler raises typed errors; here they become a gRPC status with its details
(``google.rpc.ErrorInfo`` always, ``BadRequest`` and ``RetryInfo`` where they fit). A
handler that lost a database race is run again. Anything unexpected goes to the log
with its traceback, and to the caller as ``INTERNAL`` with an id to ask for.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import grpc
from google.rpc import error_details_pb2, status_pb2

from runwire_server.errors import FieldInvalid, Internal, ServiceError
from runwire_server.retry import retrying

log = logging.getLogger("runwire.calls")

DOMAIN = "runwire.v1"
# Base64 of the details and the message share a trailer block of 8 KB; past it the
# caller sees RESOURCE_EXHAUSTED in place of the real error (grpc #37852).
MAX_DETAIL_BYTES = 3000  # the metadata of an ErrorInfo
MAX_MESSAGE_BYTES = 1000  # as sent, percent-encoded
MAX_VIOLATION_BYTES = 200

Observe = Callable[[str, str, float], None]
"""Told (method, status code name, seconds) of every call that ended."""


class Status(NamedTuple):
    """What ``ServicerContext.abort_with_status`` takes (a ``grpc.Status`` by its fields)."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


_CODES = {code.value[0]: code for code in grpc.StatusCode}


def status_of(error: ServiceError) -> Status:
    """The gRPC status of a typed error, cut so that its trailers always arrive."""
    message = _sendable(error.message)
    status = status_pb2.Status(code=error.code, message=message)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    budget = MAX_DETAIL_BYTES
    for name, value in error.metadata.items():
        info.metadata[name] = _cut(value, max(0, budget // 2))
        budget -= len(name) + len(info.metadata[name].encode())
    status.details.add().Pack(info)
    if isinstance(error, FieldInvalid):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_cut(error.field, MAX_VIOLATION_BYTES),
            description=_cut(error.problem, MAX_VIOLATION_BYTES),
        )
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        status.details.add().Pack(retry)
    trailer = ("grpc-status-details-bin", status.SerializeToString())
    return Status(_CODES[error.code], message, (trailer,))


def _cut(text: str, max_bytes: int) -> str:
    """The beginning of a text that has at most so many bytes of UTF-8."""
    return text.encode()[:max_bytes].decode(errors="ignore")


def _sendable(message: str) -> str:
    """The beginning of a message. In a trailer each byte but printable ASCII takes three."""
    left = MAX_MESSAGE_BYTES
    for index, character in enumerate(message):
        plain = " " <= character <= "~" and character != "%"
        left -= 1 if plain else 3 * len(character.encode())
        if left < 0:
            return message[:index]
    return message


def kind_of(handler: Any) -> str:
    """Of a method handler, "unary_stream" for instance: grpc's name of where its behaviour is."""
    request = "stream" if handler.request_streaming else "unary"
    response = "stream" if handler.response_streaming else "unary"
    return f"{request}_{response}"


class CallInterceptor(grpc.ServerInterceptor):
    """Errors, the request log and timing of every call of our services."""

    def __init__(self, observe: Observe | None = None):
        self._observe = observe
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        handler = self._wrapped.get(details.method)
        if handler is None:
            original = continuation(details)
            if original is None or not details.method.startswith(f"/{DOMAIN}."):
                return original
            handler = self._wrapped[details.method] = self._wrap(details.method, original)
        return handler

    def _wrap(self, method: str, handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
        kind = kind_of(handler)
        behavior = getattr(handler, kind)
        if handler.response_streaming:
            wrapped = self._wrap_stream(method, behavior)
        else:
            wrapped = self._wrap_unary(method, behavior, rerun=not handler.request_streaming)
        pool = getattr(behavior, "experimental_thread_pool", None)
        if pool is not None:
            wrapped.experimental_thread_pool = pool
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        made: grpc.RpcMethodHandler[Any, Any] = make(
            wrapped, handler.request_deserializer, _serializer(handler.response_serializer)
        )
        return made

    def _wrap_unary(self, method: str, behavior: Any, *, rerun: bool) -> Any:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            with _Call(method, context, self._observe):
                if rerun:
                    _name(request)
                    return retrying(lambda: behavior(request, context))
                return behavior(request, context)

        return handle

    def _wrap_stream(self, method: str, behavior: Any) -> Any:
        def handle(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with _Call(method, context, self._observe):
                yield from behavior(request, context)

        return handle


def _name(request: Any) -> None:
    """Give it a request id, where it may have one: run again after a lost connection, it must
    find what it has committed. The message is this call's own, in process, too."""
    if getattr(request, "request_id", None) == "":
        request.request_id = uuid.uuid4().hex


def _serializer(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """A handler may answer with bytes of its own making."""
    return lambda response: response if isinstance(response, bytes) else serialize(response)


class _Call:
    """Around one call: times it, and turns what it raises into its status."""

    def __init__(self, method: str, context: grpc.ServicerContext, observe: Observe | None):
        self._method, self._context, self._observe = method, context, observe

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is None:
            self._end("OK")
        elif isinstance(error, ServiceError):
            self._abort(error)
        elif isinstance(error, GeneratorExit | grpc.RpcError):
            self._end("CANCELLED")  # the caller went away; nobody is left to tell
        elif isinstance(error, Exception):
            self._abort(unexpected(self._method, error))

    def _abort(self, error: ServiceError) -> None:
        status = status_of(error)
        self._end(status.code.name, error.reason, status.details)
        self._context.abort_with_status(cast(grpc.Status, status))

    def _end(self, code: str, reason: str = "", message: str = "") -> None:
        tell(self._observe, self._method, code, self._start, reason, message)


def unexpected(method: str, error: BaseException) -> Internal:
    """What a caller hears of a fault of ours; the log hears the rest."""
    request_id = uuid.uuid4().hex[:12]
    log.error("%s failed (request %s)", method, request_id, exc_info=error)
    return Internal(request_id)


def tell(
    observe: Observe | None, method: str, code: str, start: float, reason: str = "", text: str = ""
) -> None:
    """A call that began at ``start`` (``time.perf_counter``) has ended: count it and log it."""
    seconds = time.perf_counter() - start
    if observe is not None:
        observe(method, code, seconds)
    level = logging.INFO if reason else logging.DEBUG
    log.log(level, "%s %s %s %.1f ms %s", method, code, reason, seconds * 1e3, text)
