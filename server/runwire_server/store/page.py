"""Keyset paging: a page begins after the last row of the one before, never at an OFFSET.

A page token is base64url of: a version byte, a hash over the query and the position,
the position (JSON). Rows that come and go between two pages neither repeat nor hide
others.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runwire_server.errors import FieldInvalid, PageTokenMismatch
from runwire_server.limits import LIMITS

DEFAULT_PAGE_SIZE = 100
MAX_TOKEN_CHARACTERS = 64 * 1024

Position = Sequence[int | float | str | None]

_VERSION = b"\x01"
_HASH_BYTES = 12
_INTEGER = re.compile(r"-?[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class SortColumn:
    """Sorted ascending or descending; where it can be null, null comes last either way."""

    expression: sa.ColumnElement[Any]
    descending: bool
    nullable: bool

    @property
    def order(self) -> sa.ColumnElement[Any]:
        ordered = self.expression.desc() if self.descending else self.expression.asc()
        return ordered.nulls_last() if self.nullable else ordered


def clamp(page_size: int) -> int:
    """0 is the default (100), above the limit is the limit. Raises ``FieldInvalid`` below 0."""
    if page_size < 0:
        raise FieldInvalid("page_size", "must not be negative")
    return min(page_size or DEFAULT_PAGE_SIZE, LIMITS.max_page_size)


def query_hash(*arguments: object) -> bytes:
    """Of all that makes a query another one: str, int, bool, None and tuples of these."""
    return hashlib.blake2b(repr(arguments).encode(), digest_size=_HASH_BYTES).digest()


def encode(position: Position, query_hash: bytes) -> str:
    """The token of the page after ``position``, the sort values and id of a row."""
    coded = [_encode_value(value) for value in position]
    body = json.dumps(coded, separators=(",", ":"), ensure_ascii=False).encode()
    token = _VERSION + _sealed(body, query_hash) + body
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def decode(token: str, query_hash: bytes) -> Position:
    """Raises ``PageTokenMismatch`` for a token of another query, or one that is damaged."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise PageTokenMismatch
    try:
        padded = token + "=" * (-len(token) % 4)
        data = base64.b64decode(padded, altchars=b"-_", validate=True)
    except ValueError as error:
        raise PageTokenMismatch from error
    body = data[1 + _HASH_BYTES :]
    if data[:1] != _VERSION or data[1 : 1 + _HASH_BYTES] != _sealed(body, query_hash):
        raise PageTokenMismatch
    # Past the hash only who made a token on purpose is left: every value is checked.
    try:
        return [_decode_value(value) for value in json.loads(body)]
    except (ValueError, TypeError, RecursionError, struct.error) as error:
        raise PageTokenMismatch from error


def after(columns: Sequence[SortColumn], position: Position) -> sa.ColumnElement[bool]:
    """The rows that come after ``position`` in the order of ``columns``.

    Raises ``PageTokenMismatch`` where the position's values are not of the columns' types.
    """
    if len(position) != len(columns):
        raise PageTokenMismatch
    reached: list[sa.ColumnElement[bool]] = []  # equal in all columns so far
    further: list[sa.ColumnElement[bool]] = []
    for column, value in zip(columns, position, strict=True):
        expression = column.expression
        if value is None:
            if not column.nullable:
                raise PageTokenMismatch
            reached.append(expression.is_(None))  # nothing comes after null
            continue
        if type(value) is not expression.type.python_type:
            raise PageTokenMismatch
        beyond = expression < value if column.descending else expression > value
        if column.nullable:
            beyond = sa.or_(beyond, expression.is_(None))
        further.append(sa.and_(*reached, beyond))
        reached.append(expression == value)
    return sa.or_(*further)


def _sealed(body: bytes, query_hash: bytes) -> bytes:
    return hashlib.blake2b(body, key=query_hash, digest_size=_HASH_BYTES).digest()


def _encode_value(value: float | str | None) -> str:
    if value is None:
        return "n"
    if isinstance(value, float):
        return "f" + struct.pack(">d", value).hex()  # every bit of it
    return f"i{value}" if isinstance(value, int) else f"s{value}"


def _decode_value(coded: str) -> int | float | str | None:
    kind, text = coded[:1], coded[1:]
    if kind == "n":
        return None
    if kind == "f":
        number = struct.unpack(">d", bytes.fromhex(text))[0]
        if math.isnan(number):
            raise ValueError("NaN")
        return float(number)
    if kind == "i" and _INTEGER.fullmatch(text):
        integer = int(text)
        if -(2**63) <= integer < 2**63:
            return integer
    if kind == "s" and "\x00" not in text:
        text.encode()  # no lone surrogates
        return text
    raise ValueError(kind)
