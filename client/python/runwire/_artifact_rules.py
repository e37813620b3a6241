"""What the path of an artifact may look like, as the server checks it: said before it is sent.

The same rules, for the same reasons, are in ``runwire_server.store.paths``; a test holds
the two equal. A download checks by them what a server lists.
"""

from __future__ import annotations

import re
import unicodedata

MAX_PATH_BYTES = 1024
MAX_SEGMENT_BYTES = 255

# Most paths. Of what these are made, none of the rules forbids anything.
_PLAIN = re.compile(r"(\w[\w.-]{0,254}/)*\w[\w.-]{0,254}", re.ASCII)
_DRIVE = re.compile(r"[A-Za-z]:")
_ENCODED = re.compile(
    r"%(25)*(2[ef]|5c|[01][0-9a-f]|7f|c[01]|e0%(25)*[89]|f0%(25)*8|u[0-9a-f]{4})", re.IGNORECASE
)
_UNPRINTABLE = frozenset(("Cc", "Cs", "Zl", "Zp"))
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = frozenset(("Zs", "Cf", "Mn", "Me"))


def problem_of(path: str) -> str:
    """Why a server would not take the path; empty where it would."""
    if len(path) <= MAX_PATH_BYTES and _PLAIN.fullmatch(path):
        return ""
    if not path:
        return "a path must not be empty"
    if not path.isprintable() and any(map(_is_unprintable, path)):
        return f"{path[:200]!r} holds control characters, or is no Unicode"
    path = unicodedata.normalize("NFC", path)
    sizes = [len(segment.encode()) for segment in path.split("/")]
    if len(path.encode()) > MAX_PATH_BYTES or max(sizes) > MAX_SEGMENT_BYTES:
        most = f"{MAX_PATH_BYTES} bytes, and {MAX_SEGMENT_BYTES} in a segment"
        return f"{path[:200]!r} is longer than {most}"
    return _problem_of_form(path) or _problem_of_form(unicodedata.normalize("NFKC", path))


def _problem_of_form(path: str) -> str:
    if path.startswith("/") or _DRIVE.match(path):
        return f"{path!r} is not relative"
    if "\\" in path:
        return f"{path!r} holds a backslash; segments are separated by '/'"
    if _ENCODED.search(path):
        return f"{path!r} holds a percent-encoded separator, dot or control"
    if any(map(_is_blank, path.split("/"))):
        return f"{path!r} holds an empty segment, '.', '..', or one of blanks"
    return ""


def _is_unprintable(character: str) -> bool:
    return unicodedata.category(character) in _UNPRINTABLE or character in _DIRECTIONS


def _is_blank(segment: str) -> bool:
    rest = segment.strip(". ")
    return not rest or all(c == "." or unicodedata.category(c) in _INVISIBLE for c in rest)
