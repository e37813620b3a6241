"""Text of a filter or an order to tokens, each with its position.

A bare word runs up to the next space, quote, bracket, comma or comparison sign, so
that ``params.lr-decay``, ``metrics.val/loss`` and ``tags.mlflow.source`` need no
quotes. A word that ends in a dot takes the quoted name after it: ``tags."my key"``.
Inside quotes the quote itself is written twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from runwire_server.errors import FilterSyntax


class TokenKind(Enum):
    WORD = "a name"
    KEY = "a quoted key"  # prefix."name"; value is the name, prefix what stands before it
    QUOTED = "a quoted name"  # "double" or `backticks`: a name, or a string on the right
    STRING = "a string"
    COMPARISON = "a comparison"
    PUNCTUATION = "a bracket or comma"
    END = "the end"


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    value: str
    position: int
    end: int
    prefix: str = ""
    backticks: bool = False

    @property
    def keyword(self) -> str:
        """The word in capitals; empty for everything that is not a bare word."""
        return self.value.upper() if self.kind is TokenKind.WORD else ""

    @property
    def is_number(self) -> bool:
        return self.kind is TokenKind.WORD and _NUMBER.fullmatch(self.value) is not None

    def __str__(self) -> str:
        if self.kind is TokenKind.END:
            return "the end"
        shown = f"{self.prefix}.{self.value}" if self.kind is TokenKind.KEY else self.value
        return repr(shown if len(shown) <= 60 else shown[:57] + "...")


_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"""[^\s'"`()<>=!,]+""")
# No number needs more than 64 characters; Python refuses integers of over 4,300 digits.
_NUMBER = re.compile(
    r"(?=.{1,64}$)[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)",
    re.IGNORECASE,
)
_COMPARISON = re.compile(r"==|!=|<>|<=|>=|=|<|>")
_QUOTED = {quote: re.compile(f"{quote}((?:[^{quote}]|{quote}{quote})*){quote}") for quote in "'\"`"}


def check_text(text: str, field: str, limit_bytes: int) -> None:
    """Refuse what no database could take: too long, NUL, or not UTF-8."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise FilterSyntax("not a valid character", error.start, field) from error
    if size > limit_bytes:
        raise FilterSyntax(f"{size} bytes, the limit is {limit_bytes}", 0, field)
    if "\x00" in text:
        raise FilterSyntax("a NUL character", text.index("\x00"), field)


def tokens(text: str, field: str) -> Iterator[Token]:
    """Every token of the text, then one of kind END. Raises ``FilterSyntax``."""
    position = _end_of(_SPACE, text, 0)
    while position < len(text):
        token = _token(text, position, field)
        yield token
        position = _end_of(_SPACE, text, token.end)
    yield Token(TokenKind.END, "", len(text), len(text))


def _token(text: str, start: int, field: str) -> Token:
    character = text[start]
    if character in "(),":
        return Token(TokenKind.PUNCTUATION, character, start, start + 1)
    if character in "'\"`":
        value, end = _quoted(text, start, field)
        kind = TokenKind.STRING if character == "'" else TokenKind.QUOTED
        return Token(kind, value, start, end, backticks=character == "`")
    if comparison := _COMPARISON.match(text, start):
        return Token(TokenKind.COMPARISON, comparison.group(), start, comparison.end())
    word = _WORD.match(text, start)
    if word is None:
        raise FilterSyntax(f"{character!r} is not a comparison", start, field)
    if word.group().endswith(".") and text[word.end() : word.end() + 1] in ('"', "`"):
        value, end = _quoted(text, word.end(), field)
        return Token(TokenKind.KEY, value, start, end, prefix=word.group()[:-1])
    return Token(TokenKind.WORD, word.group(), start, word.end())


def _quoted(text: str, start: int, field: str) -> tuple[str, int]:
    quote = text[start]
    match = _QUOTED[quote].match(text, start)
    if match is None:
        raise FilterSyntax(f"the closing {quote} is missing", start, field)
    return match.group(1).replace(quote * 2, quote), match.end()


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start
