"""What Connect and gRPC-Web have in common: codecs, gzip, envelopes, and how a call is said.

Both send messages as JSON or in binary, in streams each behind five bytes: flags and length.
"""

from __future__ import annotations

import zlib
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from starlette.datastructures import Headers

from runwire_server.errors import FieldInvalid, TooLarge, Unimplemented
from runwire_server.inprocess import InProcessError, Metadata
from runwire_server.limits import LIMITS

# A body of a megabyte that unpacks to a thousand is refused when it has come to this.
MAX_BYTES = LIMITS.max_message_bytes
COMPRESSED = 0x01
PREFIX_BYTES = 5
# Less does not repay the work.
LEAST_TO_PACK = 1024


@dataclass(frozen=True)
class Asked:
    """An HTTP request for a method; ``found`` is None where there is no such method."""

    path: str
    found: MethodDescriptor | None
    verb: str
    headers: Headers
    query: str

    @property
    def method(self) -> MethodDescriptor:
        if self.found is None:
            raise Unimplemented(f"the method {self.path}")
        return self.found

    @property
    def is_streaming(self) -> bool:
        found = self.found
        return found is not None and bool(found.client_streaming or found.server_streaming)

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    def metadata(self) -> Metadata:
        """The headers as gRPC has them; what ends in "-bin" is base64."""
        return [(name, _value(name, value)) for name, value in self.headers.items()]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Exchange(Protocol):
    """One call, as its protocol says it. What it cannot read, it raises as a typed error."""

    max_body_bytes: int
    # Whether requests may be several, in one body.
    takes_streams: bool

    def lasts_s(self) -> float | None:
        """How long the caller waits. Raises for what the protocol asks and we do not offer."""

    def request(self, body: bytes) -> Message | Iterator[Message]:
        """Of a method that takes a stream of them: all that there are."""

    def failure(self, error: InProcessError) -> Answer:
        """All of a call that failed before its first response."""


class Single(Exchange, Protocol):
    def answer(self, response: Any) -> Answer:
        """All of a call that succeeded."""


class Streamed(Exchange, Protocol):
    def head(self) -> Answer:
        """How it begins."""

    def item(self, response: Any) -> bytes: ...

    def tail(self, error: InProcessError | None) -> bytes:
        """How it ends."""


class Codec(Protocol):
    name: str

    def decode(self, data: bytes, method: MethodDescriptor) -> Message: ...

    def encode(self, response: Any, method: MethodDescriptor) -> bytes:
        """``response``: a message, or bytes that are one already."""


class Binary:
    name = "proto"

    def decode(self, data: bytes, method: MethodDescriptor) -> Message:
        try:
            return message_factory.GetMessageClass(method.input_type).FromString(data)
        except DecodeError:
            raise FieldInvalid("request", f"not a {method.input_type.full_name}") from None

    def encode(self, response: Any, method: MethodDescriptor) -> bytes:
        encoded: bytes = response if isinstance(response, bytes) else response.SerializeToString()
        return encoded


class Json:
    """Canonical proto JSON. An unknown field is an error: it was meant to do something."""

    name = "json"

    def decode(self, data: bytes, method: MethodDescriptor) -> Message:
        made = message_factory.GetMessageClass(method.input_type)()
        try:
            return json_format.Parse(data.decode(), made)
        except (json_format.ParseError, ValueError, RecursionError) as error:
            raise FieldInvalid("request", " ".join(str(error).split())) from None

    def encode(self, response: Any, method: MethodDescriptor) -> bytes:
        if isinstance(response, bytes):
            response = message_factory.GetMessageClass(method.output_type).FromString(response)
        text = json_format.MessageToJson(response, indent=None, ensure_ascii=False)
        return text.encode()


CODECS: dict[str, Codec] = {codec.name: codec for codec in (Binary(), Json())}


def check_size(size: int, limit: int = MAX_BYTES) -> None:
    if size > limit:
        raise TooLarge("request", size, limit)


def unpack(data: bytes, encoding: str) -> bytes:
    """The bytes behind a Content-Encoding, never more than a message may have."""
    if encoding in ("", "identity"):
        return data
    if encoding != "gzip":
        raise Unimplemented(f"compression {encoding!r}, only gzip")
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(data, MAX_BYTES + 1)
    except zlib.error:
        raise FieldInvalid("request", "not gzip, as its encoding says") from None
    check_size(len(plain))
    if not inflater.eof or inflater.unused_data:
        raise FieldInvalid("request", "its gzip ends too early or too late")
    return plain


def pack(data: bytes) -> bytes:
    # The quickest level: more of it would cost more than the network it saves.
    deflater = zlib.compressobj(1, wbits=31)
    return deflater.compress(data) + deflater.flush()


def accepts_gzip(offered: str) -> bool:
    for one in offered.lower().split(","):
        name, _, weight = one.replace(" ", "").partition(";q=")
        if name == "gzip":
            return weight.strip("0.") != "" or not weight
    return False


def envelope(flags: int, data: bytes) -> bytes:
    return bytes([flags]) + len(data).to_bytes(4, "big") + data


def only_message(body: bytes, encoding: str) -> bytes:
    """The one message that a request of enveloped messages has to hold."""
    message, end = _message_at(0, body, encoding)
    if end < len(body):
        raise FieldInvalid("request", f"{len(body) - end} bytes behind its one message")
    return message


def messages(body: bytes, encoding: str) -> Iterator[bytes]:
    """Those of a stream of requests, which came whole."""
    at = 0
    while at < len(body):
        message, at = _message_at(at, body, encoding)
        yield message


def _message_at(at: int, body: bytes, encoding: str) -> tuple[bytes, int]:
    """And where it ends."""
    start = at + PREFIX_BYTES
    if len(body) < start:
        raise FieldInvalid("request", "no message: a prefix has 5 bytes")
    flags, size = body[at], int.from_bytes(body[at + 1 : start], "big")
    check_size(size)
    if flags & ~COMPRESSED:
        raise FieldInvalid("request", f"flags {flags:#04x} in a message's prefix")
    if len(body) < start + size:
        raise FieldInvalid("request", f"{len(body) - start} bytes for a message of {size}")
    if flags and encoding in ("", "identity"):
        raise FieldInvalid("request", "a message is compressed, and no header says how")
    return unpack(body[start : start + size], encoding if flags else ""), start + size


def whole_number(name: str, text: str, most_digits: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= most_digits):
        raise FieldInvalid(name, f"at most {most_digits} digits are a time")
    return int(text)


def from_base64(field: str, text: str) -> bytes:
    """In either alphabet, with or without its padding."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise FieldInvalid(field, "not base64") from None


def _value(name: str, value: str) -> str | bytes:
    return from_base64(name, value) if name.endswith("-bin") else value
