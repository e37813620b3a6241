"""The bytes of a journal, for its writer (the training process) and its reader.

A journal is a directory::

    meta.json       who writes it and where it goes
    000001.seg ...  records, one after the other; whole segments are deleted once sent
    schemas.jsonl   runs and key sets by number; small, lives as long as the journal
    status          a small mapped page that the uploader writes and the trainer reads
    lock            held by the uploader for its life
    artifacts/      files that wait to be uploaded
    refused.json    what the server will not take, and why
    uploader.log

A *position* counts the bytes of records over all segments, so it never goes back.
Everything is a multiple of 8 bytes in the machine's own byte order. A record begins
with a header word, ``schema << 32 | length in bytes``; schema 0 is a control record
(kind, payload length, JSON), any other a row (step, time in microseconds, values).
The header word is stored last and in one piece: a record that was cut by a kill has
a zero header and does not exist. A segment says at which position it begins, and
that is how a reader knows that the one before has ended.
"""

from __future__ import annotations

import json
import struct
import unicodedata
from typing import Any

from runwire._errors import InvalidArgumentError, invalid

SEGMENT_MAGIC = b"RWJSEG01"
SEGMENT_HEADER = struct.Struct("8sqq")  # magic, position of the first record, capacity
SEGMENT_HEADER_BYTES = 64
ROW_OVERHEAD_WORDS = 3  # header, step, time
MAX_KEY_BYTES = 512

VOID, CREATE, ATTACH, PARAMS, TAGS, REMOVE_TAGS, INPUTS, ARTIFACT, FINISH, DROPPED, CLOSE = range(
    11
)

_CONTROL = struct.Struct("II")  # kind, bytes of JSON


def segment_name(number: int) -> str:
    return f"{number:06d}.seg"


def header_word(schema: int, length: int) -> int:
    return schema << 32 | length


def row_struct(keys: int) -> struct.Struct:
    return struct.Struct(f"qq{keys}d")


def encode_control(kind: int, payload: dict[str, Any]) -> bytes:
    """The body of a control record, header word excluded. Raises InvalidArgumentError
    where a text has half a surrogate pair."""
    try:
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        bad = error.object[error.start : error.end]
        raise InvalidArgumentError(f"{bad!r} is not valid text", reason="FIELD_INVALID") from None
    return _CONTROL.pack(kind, len(text)) + text + bytes(-len(text) % 8)


def decode_control(body: bytes) -> tuple[int, dict[str, Any]]:
    kind, length = _CONTROL.unpack_from(body)
    return kind, json.loads(body[8 : 8 + length]) if length else {}


def check_key(what: str, key: object) -> None:
    """A key of a metric, param or tag: 1 to 512 bytes of UTF-8, printable.

    Raises TypeError or InvalidArgumentError (a ValueError), naming the key.
    """
    if not isinstance(key, str):
        raise TypeError(f"{what} key {key!r} must be a str, not {type(key).__name__}")
    if not key:
        raise invalid(f"{what} key", "must not be empty")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise invalid(f"{what} key", f"{key[:80]!r} is not valid text") from None
    if size > MAX_KEY_BYTES:
        raise invalid(
            f"{what} key", f"{key[:40]!r}... has {size} bytes, the limit is {MAX_KEY_BYTES}"
        )
    if not key.isprintable() and any(unicodedata.category(c) == "Cc" for c in key):
        raise invalid(f"{what} key", f"{key!r} holds a control character")


def writer_position(position: int, part: int = 0) -> int:
    """What a batch carries as its place in the log: ``part`` items of the record at
    ``position`` are in it or before it, and everything below."""
    return position >> 3 << 24 | part


def split_writer_position(value: int) -> tuple[int, int]:
    return value >> 24 << 3, value & 0xFFFFFF
