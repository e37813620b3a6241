"""A web port on loopback, and a client that speaks every dialect of it, byte by byte.

Written from the specifications and not from our code, so that both can be wrong only apart.
"""

from __future__ import annotations

import base64
import http.client
import json
import struct
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from runwire_server.app import App
from runwire_server.pools import Pools
from runwire_server.settings import Settings
from runwire_server.web import WebServer, make_app

from server import hostile


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class WebError(Exception):
    """How a call ended, whichever dialect said it."""

    def __init__(self, code: str, message: str, details: Any):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.details = code, message, list(details)

    @property
    def info(self) -> Any:
        found = error_details_pb2.ErrorInfo()
        assert self.details[0].Unpack(found)
        return found


@contextmanager
def web_port(app: App, observe: Any = None, **settings: Any) -> Iterator[int]:
    """The port of a web server over the app."""
    chosen = Settings(**settings)
    pools = Pools(chosen)
    server = WebServer(make_app(app, chosen, pools, observe), "127.0.0.1", 0, grace_s=60)
    server.start()
    try:
        yield server.port
    finally:
        app.drain.set()
        server.stop()
        pools.close()
        app.drain.clear()


def ask(
    port: int, path: str, body: bytes | None = None, headers: Any = None, verb: str = ""
) -> Response:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with closing(connection):
        connection.request(verb or ("GET" if body is None else "POST"), path, body, headers or {})
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, named, answer.read())


@dataclass(frozen=True)
class Dialect:
    """``form``: "json" or "proto"."""

    name: str
    form: str

    def encode(self, message: Message) -> bytes:
        if self.form == "json":
            return json_format.MessageToJson(message).encode()
        return message.SerializeToString()

    def decode(self, data: bytes, method: MethodDescriptor) -> Message:
        made = message_factory.GetMessageClass(method.output_type)()
        if self.form == "json":
            return json_format.Parse(data, made)
        made.ParseFromString(data)
        return made

    def call(self, port: int, path: str, request: Message, headers: Any = None) -> list[Message]:
        """All responses. Raises ``WebError``."""
        raise NotImplementedError


class Connect(Dialect):
    def call(self, port: int, path: str, request: Message, headers: Any = None) -> list[Message]:
        method = hostile.METHODS[path]
        body = self.encode(request)
        if method.server_streaming:
            kind, body = f"application/connect+{self.form}", frame(0, body)
        else:
            kind = f"application/{self.form}"
        answer = ask(port, path, body, {"content-type": kind, **(headers or {})})
        if not method.server_streaming:
            return [self.decode(single(answer, kind), method)]
        assert (answer.status, answer.headers["content-type"]) == (200, kind)
        *items, (flags, end) = frames(answer.body)
        assert flags == 2
        if error := json.loads(end).get("error"):
            raise connect_error(error)
        return [self.decode(data, method) for _, data in items]


class ConnectGet(Connect):
    """For methods without side effects; for the others as ``Connect``."""

    def call(self, port: int, path: str, request: Message, headers: Any = None) -> list[Message]:
        method = hostile.METHODS[path]
        if method.server_streaming or method.GetOptions().idempotency_level != 1:
            return super().call(port, path, request, headers)
        message = base64.urlsafe_b64encode(self.encode(request)).decode().rstrip("=")
        query = {"connect": "v1", "encoding": self.form, "base64": "1", "message": message}
        answer = ask(port, f"{path}?{urllib.parse.urlencode(query)}", headers=headers)
        return [self.decode(single(answer, f"application/{self.form}"), method)]


class GrpcWeb(Dialect):
    @property
    def is_text(self) -> bool:
        return "text" in self.name

    def call(self, port: int, path: str, request: Message, headers: Any = None) -> list[Message]:
        method = hostile.METHODS[path]
        kind = f"application/grpc-web{'-text' if self.is_text else ''}+{self.form}"
        body = frame(0, self.encode(request))
        body = base64.b64encode(body) if self.is_text else body
        answer = ask(port, path, body, {"content-type": kind, **(headers or {})})
        assert (answer.status, answer.headers["content-type"]) == (200, kind)
        *items, (flags, end) = frames(plain_text(answer.body) if self.is_text else answer.body)
        assert flags == 0x80
        trailers = dict(line.split(": ", 1) for line in end.decode().strip().split("\r\n"))
        if trailers["grpc-status"] != "0":
            raise grpc_error(trailers)
        return [self.decode(data, method) for _, data in items]


DIALECTS: dict[str, Dialect] = {
    one.name: one
    for one in (
        Connect("connect-json", "json"),
        Connect("connect-proto", "proto"),
        ConnectGet("connect-get-json", "json"),
        ConnectGet("connect-get-proto", "proto"),
        GrpcWeb("grpc-web", "proto"),
        GrpcWeb("grpc-web-json", "json"),
        GrpcWeb("grpc-web-text", "proto"),
    )
}


class Stream:
    """A stream of Connect envelopes in JSON, read as it comes."""

    def __init__(self, port: int, path: str, request: Any = None, headers: Any = None):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        kind = {"content-type": "application/connect+json"}
        body = frame(0, json.dumps(request or {}).encode())
        self._connection.request("POST", path, body, kind | (headers or {}))
        self._answer = self._connection.getresponse()

    def next(self) -> tuple[int, Any]:
        """Flags and message. Raises ConnectionError where there is no whole one."""
        flags, size = struct.unpack(">BI", self._read(5))
        return flags, json.loads(self._read(size))

    def _read(self, size: int) -> bytes:
        try:
            data = self._answer.read(size)
        except http.client.IncompleteRead as error:
            raise ConnectionError from error
        if len(data) < size:
            raise ConnectionError
        return data

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


def frame(flags: int, data: bytes) -> bytes:
    return struct.pack(">BI", flags, len(data)) + data


def frames(body: bytes) -> list[tuple[int, bytes]]:
    found = []
    while body:
        flags, size = struct.unpack(">BI", body[:5])
        assert len(body) >= 5 + size
        found.append((flags, body[5 : 5 + size]))
        body = body[5 + size :]
    return found


def plain_text(body: bytes) -> bytes:
    """base64 of which every frame has its own padding."""
    return b"".join(base64.b64decode(body[at : at + 4]) for at in range(0, len(body), 4))


def single(answer: Response, kind: str) -> bytes:
    if answer.status != 200:
        raise connect_error(json.loads(answer.body))
    assert answer.headers["content-type"] == kind
    return answer.body


def connect_error(error: dict[str, Any]) -> WebError:
    status = status_pb2.Status()
    for detail in error.get("details", []):
        value = base64.b64decode(detail["value"] + "=" * (-len(detail["value"]) % 4))
        status.details.add(type_url=f"type.googleapis.com/{detail['type']}", value=value)
    code = {"canceled": "CANCELLED"}.get(error["code"], error["code"].upper())
    return WebError(code, error.get("message", ""), status.details)


def grpc_error(trailers: dict[str, str]) -> WebError:
    (code,) = (one for one in grpc.StatusCode if str(one.value[0]) == trailers["grpc-status"])
    status = status_pb2.Status()
    status.ParseFromString(base64.b64decode(trailers.get("grpc-status-details-bin", "")))
    return WebError(code.name, urllib.parse.unquote(trailers["grpc-message"]), status.details)
