"""gRPC-Web, binary and text: gRPC's messages over plain HTTP, its trailers in the body.

Reference: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any
from urllib.parse import quote

from google.protobuf.message import Message

from runwire_server.errors import FieldInvalid
from runwire_server.inprocess import InProcessError
from runwire_server.web import wire
from runwire_server.web.wire import CODECS, Answer, Asked, Codec, Exchange

TRAILERS = 0x80
BINARY, TEXT = "application/grpc-web", "application/grpc-web-text"
TYPES: dict[str, Codec] = {
    BINARY: CODECS["proto"],
    TEXT: CODECS["proto"],
    f"{BINARY}+proto": CODECS["proto"],
    f"{TEXT}+proto": CODECS["proto"],
    f"{BINARY}+json": CODECS["json"],
}
SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
# Each of the chunks that a text is made of ends with its own padding.
CHUNK = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def exchange_of(asked: Asked) -> Exchange | None:
    """None for a request that is not of this protocol."""
    if asked.verb != "POST" or asked.content_type not in TYPES:
        return None
    return GrpcWeb(asked)


class GrpcWeb:
    """Single calls and streams are said alike, and always with the HTTP status 200."""

    takes_streams = False

    def __init__(self, asked: Asked):
        self._asked = asked
        self._codec = TYPES[asked.content_type]
        self._is_text = asked.content_type.startswith(TEXT)
        whole = wire.MAX_BYTES + wire.PREFIX_BYTES
        self.max_body_bytes = whole * 4 // 3 + 4 if self._is_text else whole

    def lasts_s(self) -> float | None:
        text = self._asked.headers.get("grpc-timeout")
        if text is None:
            return None
        if text[-1:] not in SECONDS:
            raise FieldInvalid("grpc-timeout", "must end in one of H M S m u n")
        number = wire.whole_number("grpc-timeout", text[:-1], most_digits=8)
        return number * SECONDS[text[-1]]

    def request(self, body: bytes) -> Message:
        framed = _from_text(body) if self._is_text else body
        data = wire.only_message(framed, self._asked.headers.get("grpc-encoding", ""))
        return self._codec.decode(data, self._asked.method)

    def answer(self, response: Any) -> Answer:
        head = self.head()
        return Answer(head.status, head.headers, self.item(response) + self.tail(None))

    def failure(self, error: InProcessError) -> Answer:
        head = self.head()
        return Answer(head.status, head.headers, self.tail(error))

    def head(self) -> Answer:
        form = f"{TEXT if self._is_text else BINARY}+{self._codec.name}"
        return Answer(200, {"content-type": form}, b"")

    def item(self, response: Any) -> bytes:
        return self._said(wire.envelope(0, self._codec.encode(response, self._asked.method)))

    def tail(self, error: InProcessError | None) -> bytes:
        trailers = {"grpc-status": "0"} if error is None else _trailers(error)
        lines = "".join(f"{name}: {value}\r\n" for name, value in trailers.items())
        return self._said(wire.envelope(TRAILERS, lines.encode()))

    def _said(self, frame: bytes) -> bytes:
        return b64encode(frame) if self._is_text else frame


def _trailers(error: InProcessError) -> dict[str, str]:
    found = {
        "grpc-status": str(error.code().value[0]),
        "grpc-message": quote(error.details(), safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}~"),
    }
    for name, value in error.trailing_metadata():
        found[name] = b64encode(value).decode() if isinstance(value, bytes) else value
    return found


def _from_text(body: bytes) -> bytes:
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError:
        raise FieldInvalid("request", "not base64") from None
    chunks = CHUNK.findall(text)
    if sum(map(len, chunks)) != len(text):
        raise FieldInvalid("request", "not base64")
    return b"".join(wire.from_base64("request", chunk) for chunk in chunks)
