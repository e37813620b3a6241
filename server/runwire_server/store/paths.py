"""What the path of an artifact may look like: checked once, here, for every request.

A path is data of the tree, never a path of a file system of the server: bytes are
found by their digest alone. The rules keep it harmless for every client that writes
a tree to its own disk.

Choices that other services make differently:

- Paths are Unicode in normalisation form C. Another form is taken and turned into
  it, on writes and on reads, so that a name typed on macOS is found from Linux.
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

_DRIVE = re.compile(r"[A-Za-z]:")
# "/", "\", ".", controls; encoded once or, by "%25", several times.
_ENCODED = re.compile(r"%(25)*(2[eEfF]|5[cC]|[01][0-9a-fA-F]|7[fF])")
# Control, surrogate, line and paragraph separators. "Cf" stays: names use joiners.
_UNPRINTABLE = frozenset(("Cc", "Cs", "Zl", "Zp"))


def check_path(field: str, path: str) -> str:
    """The path in normalisation form C. Raises ``FieldInvalid`` and ``TooLarge``.

    It is relative, separated by "/", without empty, "." and ".." segments, at most
    1,024 bytes of UTF-8, and 255 in each segment.
    """
    if not path:
        raise FieldInvalid(field, "a path must not be empty")
    if not path.isprintable() and any(unicodedata.category(c) in _UNPRINTABLE for c in path):
        raise FieldInvalid(field, "a path must not hold control characters")
    path = unicodedata.normalize("NFC", path)
    size = len(path.encode())
    if size > MAX_PATH_BYTES:
        raise TooLarge(field, size, MAX_PATH_BYTES)
    if path.startswith("/") or _DRIVE.match(path):
        raise FieldInvalid(field, f"{path!r} is not relative")
    if "\\" in path:
        raise FieldInvalid(field, "segments are separated by '/', a path holds no backslash")
    if _ENCODED.search(path):
        raise FieldInvalid(field, f"{path!r} holds a percent-encoded separator, dot or control")
    for segment in path.split("/"):
        _check_segment(field, path, segment)
    return path


def check_prefix(field: str, prefix: str) -> str:
    """As ``check_path``; "" is the root of the tree."""
    return check_path(field, prefix) if prefix else ""


def _check_segment(field: str, path: str, segment: str) -> None:
    # Windows drops dots and blanks at the end, so that ".. " becomes "..".
    if not segment.strip(". "):
        raise FieldInvalid(field, f"{path!r} holds an empty segment, or one of dots and blanks")
    size = len(segment.encode())
    if size > MAX_SEGMENT_BYTES:
        raise TooLarge(field, size, MAX_SEGMENT_BYTES)
