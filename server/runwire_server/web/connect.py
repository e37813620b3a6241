"""The Connect protocol: plain HTTP for single calls, envelopes for streams.

Reference: https://connectrpc.com/docs/protocol
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from google.protobuf import descriptor_pb2, json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc import StatusCode

from runwire_server.errors import FieldInvalid
from runwire_server.inprocess import InProcessError
from runwire_server.web import wire
from runwire_server.web.wire import CODECS, Answer, Asked, Codec, Exchange

END_OF_STREAM = 0x02
NO_SIDE_EFFECTS = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS

HTTP_STATUS = {
    StatusCode.CANCELLED: 499,
    StatusCode.UNKNOWN: 500,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.INTERNAL: 500,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DATA_LOSS: 500,
    StatusCode.UNAUTHENTICATED: 401,
}
SPELLED_OTHERWISE = {StatusCode.CANCELLED: "canceled"}

UNARY_TYPES = {f"application/{name}": codec for name, codec in CODECS.items()}
STREAM_TYPES = {f"application/connect+{name}": codec for name, codec in CODECS.items()}


def exchange_of(asked: Asked) -> Exchange | None:
    """None for a request that is not of this protocol, or not for this kind of method."""
    if asked.verb == "GET":
        return UnaryGet(asked) if is_readable(asked.found) else None
    if asked.verb != "POST":
        return None
    found = (STREAM_TYPES if asked.is_streaming else UNARY_TYPES).get(asked.content_type)
    if found is None:
        return None
    return Stream(asked, found) if asked.is_streaming else Unary(asked, found)


def is_readable(method: MethodDescriptor | None) -> bool:
    """Whether a method answers GET: it changes nothing, and is no stream."""
    if method is None or method.client_streaming or method.server_streaming:
        return False
    return bool(method.GetOptions().idempotency_level == NO_SIDE_EFFECTS)


class Unary:
    """A POST: the body is the request, the response's body the response or a JSON error."""

    max_body_bytes = wire.MAX_BYTES
    takes_streams = False

    def __init__(self, asked: Asked, codec: Codec):
        self._asked, self._codec = asked, codec

    def lasts_s(self) -> float | None:
        return _lasts_s(self._asked)

    def request(self, body: bytes) -> Message:
        plain = wire.unpack(body, self._asked.headers.get("content-encoding", ""))
        return self._codec.decode(plain, self._asked.method)

    def answer(self, response: Any) -> Answer:
        body = self._codec.encode(response, self._asked.method)
        return self._packed(200, self._codec.name, body)

    def failure(self, error: InProcessError) -> Answer:
        body = json.dumps(error_of(error), ensure_ascii=False).encode()
        return self._packed(HTTP_STATUS[error.code()], "json", body)

    def _packed(self, status: int, form: str, body: bytes) -> Answer:
        headers = {
            "content-type": f"application/{form}",
            "cache-control": "no-store",  # the next call may have another answer
            "vary": "accept-encoding",
        }
        if form == "json":
            body += b"\n"  # for those who read it in a terminal
        accepted = wire.accepts_gzip(self._asked.headers.get("accept-encoding", ""))
        if accepted and len(body) >= wire.LEAST_TO_PACK:
            headers["content-encoding"] = "gzip"
            body = wire.pack(body)
        return Answer(status, headers, body)


class UnaryGet(Unary):
    """The same for a method without side effects, with all of the request in the query."""

    def __init__(self, asked: Asked):
        self._query = _query(asked.query)
        super().__init__(asked, CODECS.get(self._query.get("encoding", ""), CODECS["json"]))

    def lasts_s(self) -> float | None:
        if self._query.get("connect", "v1") != "v1":
            raise FieldInvalid("connect", "only v1 is spoken here")
        if self._query.get("encoding") not in CODECS:
            raise FieldInvalid("encoding", f"must be one of {', '.join(CODECS)}")
        return super().lasts_s()

    def request(self, body: bytes) -> Message:
        text = self._query.get("message")
        if text is None:
            raise FieldInvalid("message", "must be in the query")
        data = text.encode(errors="surrogateescape")
        if self._query.get("base64") == "1":
            data = wire.from_base64("message", text)
        plain = wire.unpack(data, self._query.get("compression", ""))
        return self._codec.decode(plain, self._asked.method)


class Stream:
    """A stream of responses. Its errors come at its end, with the HTTP status 200."""

    max_body_bytes = wire.MAX_BYTES + wire.PREFIX_BYTES
    takes_streams = True

    def __init__(self, asked: Asked, codec: Codec):
        self._asked, self._codec = asked, codec
        # In binary, points and chunks are as small as their own codecs make them.
        accepted = asked.headers.get("connect-accept-encoding", "")
        self._packs = codec.name == "json" and wire.accepts_gzip(accepted)

    def lasts_s(self) -> float | None:
        return _lasts_s(self._asked)

    def request(self, body: bytes) -> Message | Iterator[Message]:
        encoding = self._asked.headers.get("connect-content-encoding", "")
        method = self._asked.method
        if method.client_streaming:
            return (self._codec.decode(one, method) for one in wire.messages(body, encoding))
        return self._codec.decode(wire.only_message(body, encoding), method)

    def failure(self, error: InProcessError) -> Answer:
        head = self.head()
        return Answer(head.status, head.headers, self.tail(error))

    def head(self) -> Answer:
        headers = {"content-type": f"application/connect+{self._codec.name}"}
        if self._packs:
            headers["connect-content-encoding"] = "gzip"
        return Answer(200, headers, b"")

    def item(self, response: Any) -> bytes:
        data = self._codec.encode(response, self._asked.method)
        if self._packs and len(data) >= wire.LEAST_TO_PACK:
            return wire.envelope(wire.COMPRESSED, wire.pack(data))
        return wire.envelope(0, data)

    def tail(self, error: InProcessError | None) -> bytes:
        end = {} if error is None else {"error": error_of(error)}
        return wire.envelope(END_OF_STREAM, json.dumps(end, ensure_ascii=False).encode())


def error_of(error: InProcessError) -> dict[str, Any]:
    """The error as JSON; ``debug`` is for those who read it without our protos."""
    code = SPELLED_OTHERWISE.get(error.code(), error.code().name.lower())
    found: dict[str, Any] = {"code": code, "message": error.details()}
    trailer = dict(error.trailing_metadata()).get("grpc-status-details-bin")
    if trailer is not None:
        status = status_pb2.Status.FromString(trailer)
        found["details"] = [
            {
                "type": detail.TypeName(),
                "value": b64encode(detail.value).decode().rstrip("="),
                "debug": _readable(detail),
            }
            for detail in status.details
        ]
    return found


def _readable(detail: Any) -> dict[str, Any]:
    fields: dict[str, Any] = json_format.MessageToDict(detail)
    del fields["@type"]
    return fields


def _lasts_s(asked: Asked) -> float | None:
    if asked.headers.get("connect-protocol-version", "1") != "1":
        raise FieldInvalid("connect-protocol-version", "only 1 is spoken here")
    text = asked.headers.get("connect-timeout-ms")
    if text is None:
        return None
    return wire.whole_number("connect-timeout-ms", text, most_digits=10) / 1000


def _query(text: str) -> dict[str, str]:
    try:
        found = parse_qs(text, keep_blank_values=True, max_num_fields=20, errors="surrogateescape")
    except ValueError:  # too many fields: none of them is ours
        return {}
    return {name: values[0] for name, values in found.items()}
