"""What the path of an artifact may look like: checked once, here, for every request.

A path is data of the tree, never a path of a file system of the server: bytes are
found by their digest alone. The rules keep it harmless for every client that writes
a tree to its own disk. The Python client has them too (``runwire._artifact_rules``), to
refuse a path before it is on its way; a test holds the two equal.

Choices that other services make differently:

- Paths are Unicode in normalisation form C. Another form is taken and turned into
  it, on writes and on reads, so that a name typed on macOS is found from Linux.
- What a path says must not change for whoever folds it to form KC, or shows it: full-width
  dots are dots, invisible characters are blanks, and nothing turns the direction of text.
- Names that only Windows reserves (``aux``, ``con.txt``, ``a:b``) are good names here;
  a client on Windows refuses to write them.
- A literal ``%`` is fine, an encoded separator, dot or control character is not.
"""

from __future__ import annotations

import re
import unicodedata

from runwire_server.errors import FieldInvalid, TooLarge

MAX_PATH_BYTES = 1024
MAX_SEGMENT_BYTES = 255

# Most paths. Of what these are made, none of the rules forbids anything.
_PLAIN = re.compile(r"(\w[\w.-]{0,254}/)*\w[\w.-]{0,254}", re.ASCII)
_DRIVE = re.compile(r"[A-Za-z]:")
# "/", "\", ".", controls; encoded once or, by "%25", several times; or as UTF-8 that is
# longer than it need be, or as "%uXXXX".
_ENCODED = re.compile(
    r"%(25)*(2[ef]|5c|[01][0-9a-f]|7f|c[01]|e0%(25)*[89]|f0%(25)*8|u[0-9a-f]{4})", re.IGNORECASE
)
# Control, surrogate, line and paragraph separators. "Cf" stays, names use joiners, but for
# what embeds, overrides or isolates a direction.
_UNPRINTABLE = frozenset(("Cc", "Cs", "Zl", "Zp"))
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = frozenset(("Zs", "Cf", "Mn", "Me"))


def check_path(field: str, path: str) -> str:
    """The path in normalisation form C. Raises ``FieldInvalid`` and ``TooLarge``.

    It is relative, separated by "/", without empty, "." and ".." segments, at most
    1,024 bytes of UTF-8, and 255 in each segment.
    """
    if len(path) <= MAX_PATH_BYTES and _PLAIN.fullmatch(path):
        return path
    if not path:
        raise FieldInvalid(field, "a path must not be empty")
    if not path.isprintable() and any(map(_is_unprintable, path)):
        raise FieldInvalid(field, "a path must not hold control characters")
    path = unicodedata.normalize("NFC", path)
    size = len(path.encode())
    if size > MAX_PATH_BYTES:
        raise TooLarge(field, size, MAX_PATH_BYTES)
    _check_form(field, path)
    if not path.isascii():
        _check_form(field, unicodedata.normalize("NFKC", path))
    for segment in path.split("/"):
        size = len(segment.encode())
        if size > MAX_SEGMENT_BYTES:
            raise TooLarge(field, size, MAX_SEGMENT_BYTES)
    return path


def check_prefix(field: str, prefix: str) -> str:
    """As ``check_path``; "" is the root of the tree."""
    return check_path(field, prefix) if prefix else ""


def _check_form(field: str, path: str) -> None:
    if path.startswith("/") or _DRIVE.match(path):
        raise FieldInvalid(field, f"{path!r} is not relative")
    if "\\" in path:
        raise FieldInvalid(field, "segments are separated by '/', a path holds no backslash")
    if _ENCODED.search(path):
        raise FieldInvalid(field, f"{path!r} holds a percent-encoded separator, dot or control")
    if any(map(_is_blank, path.split("/"))):
        raise FieldInvalid(field, f"{path!r} holds an empty segment, or one of dots and blanks")


def _is_unprintable(character: str) -> bool:
    return unicodedata.category(character) in _UNPRINTABLE or character in _DIRECTIONS


def _is_blank(segment: str) -> bool:
    """Windows drops dots and blanks at the end, so that ".. " becomes ".."."""
    rest = segment.strip(". ")
    return not rest or all(c == "." or unicodedata.category(c) in _INVISIBLE for c in rest)
