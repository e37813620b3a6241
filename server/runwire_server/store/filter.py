"""The filter and order grammar of every search, and its syntax tree.

    expression  = conjunction {OR conjunction}
    conjunction = negation {AND negation}
    negation    = NOT negation | "(" expression ")" | comparison
    comparison  = key ("=" "==" "!=" "<>" "<" "<=" ">" ">=") value
                | key [NOT] (LIKE | ILIKE) string
                | key [NOT] IN "(" value {"," value} ")"
                | key IS [NOT] NULL
    key         = name | prefix "." name | function "(" prefix "." name ")"
    value       = 'string' | "string" | number | Inf | NaN
    order       = key [ASC | DESC] {"," key [ASC | DESC]}

A superset of mlflow's search syntax. Keywords, prefixes and functions ignore case.
Prefixes: ``metrics params tags datasets attributes`` and their short forms; a name
without a prefix is an attribute. Functions over a metric's points: ``last`` (the
default), ``min``, ``max``, ``mean``, ``count``.

A comparison with something that is missing is false, ``!=`` and ``NOT LIKE`` and
``NOT IN`` too; NOT of it is true. So ``params.lr != 1`` finds runs that have an lr
other than 1, and ``NOT params.lr = 1`` also those without one.

This module knows no nouns and no SQL: which attributes there are is in ``schemas``,
what a comparison with a value means in ``filter_values``.
"""

from __future__ import annotations

from runwire_server.errors import FilterSyntax
from runwire_server.store.filter_tokens import Token, TokenKind, check_text, tokens
from runwire_server.store.filter_tree import (
    FUNCTIONS,
    PREFIXES,
    And,
    Comparison,
    Expression,
    Key,
    Kind,
    Not,
    Or,
    OrderTerm,
    Value,
)

MAX_BYTES = 4096  # of a filter without its IN lists
MAX_BYTES_WITH_LISTS = 64 * 1024
MAX_TERMS = 64
MAX_DEPTH = 16
MAX_LIST = 1000
MAX_ORDER_TERMS = 8


_RESERVED = {"AND", "OR", "NOT", "IN", "IS", "LIKE", "ILIKE", "NULL", "ASC", "DESC"}


def parse(text: str, field: str = "filter") -> Expression | None:
    """The filter's tree; None for an empty text, which everything matches.

    Raises ``FilterSyntax`` with the position, also over a limit: 4 KiB of text beside
    the IN lists, 64 comparisons, depth 16 of NOT and brackets, 1,000 values in a list.
    """
    check_text(text, field, MAX_BYTES_WITH_LISTS)
    parser = _Parser(text, field)
    if parser.at_end:
        return None
    expression = parser.disjunction()
    if not parser.at_end:
        raise parser.expected("AND, OR or the end")
    if len(text.encode()) - parser.list_bytes > MAX_BYTES:
        raise FilterSyntax(f"the text is over {MAX_BYTES} bytes without its lists", 0, field)
    return expression


def parse_order(text: str, field: str = "order_by") -> list[OrderTerm]:
    """The terms of an order, none for an empty text. Raises ``FilterSyntax``."""
    check_text(text, field, MAX_BYTES)
    parser = _Parser(text, field)
    terms: list[OrderTerm] = []
    while not parser.at_end:
        if len(terms) == MAX_ORDER_TERMS:
            raise parser.error(f"more than {MAX_ORDER_TERMS} terms")
        key = parser.key()
        descending = parser.accept_word("DESC")
        if not descending:
            parser.accept_word("ASC")
        terms.append(OrderTerm(key, descending))
        if parser.at_end:
            break
        parser.expect(",")
        if parser.at_end:
            raise parser.expected("a name")
    return terms


def parse_key(text: str, field: str) -> Key:
    """A text that is one key and nothing else. Raises ``FilterSyntax``."""
    check_text(text, field, MAX_BYTES)
    parser = _Parser(text, field)
    key = parser.key()
    if not parser.at_end:
        raise parser.expected("the end")
    return key


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str, field: str):
        self._tokens = tokens(text, field)
        self._text, self._field = text, field
        self._depth = self._terms = 0
        self.list_bytes = 0
        self.here: Token = next(self._tokens)

    def error(self, problem: str, position: int | None = None) -> FilterSyntax:
        return FilterSyntax(
            problem, self.here.position if position is None else position, self._field
        )

    def expected(self, what: str) -> FilterSyntax:
        return self.error(f"expected {what}, not {self.here}")

    def advance(self) -> Token:
        token = self.here
        self.here = next(self._tokens, token)
        return token

    def accept_word(self, keyword: str) -> bool:
        if self.here.keyword != keyword:
            return False
        self.advance()
        return True

    @property
    def at_end(self) -> bool:
        return self.here.kind is TokenKind.END

    def at(self, punctuation: str) -> bool:
        return self.here.kind is TokenKind.PUNCTUATION and self.here.value == punctuation

    def expect(self, punctuation: str) -> Token:
        if not self.at(punctuation):
            raise self.expected(f"{punctuation!r}")
        return self.advance()

    def disjunction(self) -> Expression:
        operands = [self._conjunction()]
        while self.accept_word("OR"):
            operands.append(self._conjunction())
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def _conjunction(self) -> Expression:
        operands = [self._negation()]
        while self.accept_word("AND"):
            operands.append(self._negation())
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def _negation(self) -> Expression:
        nested = self.at("(") or self.here.keyword == "NOT"
        if not nested:
            return self._comparison()
        if self._depth == MAX_DEPTH:
            raise self.error(f"nested deeper than {MAX_DEPTH}")
        self._depth += 1
        expression: Expression
        if self.accept_word("NOT"):
            expression = Not(self._negation())
        else:
            self.advance()
            expression = self.disjunction()
            self.expect(")")
        self._depth -= 1
        return expression

    def key(self) -> Key:
        token = self.here
        if token.kind is TokenKind.KEY:
            self.advance()
            return self._resolve(token.prefix, token.value, token.position)
        if token.kind is TokenKind.QUOTED:
            self.advance()
            return Key(Kind.ATTRIBUTE, token.value, position=token.position)
        if token.kind is not TokenKind.WORD or token.keyword in _RESERVED:
            raise self.expected("a name")
        self.advance()
        if self.at("("):
            return self._function(token)
        prefix, dot, name = token.value.partition(".")
        if not dot or prefix.lower() not in PREFIXES:
            return Key(Kind.ATTRIBUTE, token.value, position=token.position)
        return self._resolve(prefix, name, token.position)

    def _resolve(self, prefix: str, name: str, position: int) -> Key:
        kind = PREFIXES.get(prefix.lower())
        if kind is None:
            raise self.error(f"unknown prefix {prefix!r}: metrics, params, tags, ...", position)
        if not name:
            raise self.error(f"a name is missing after {prefix!r}", position)
        return Key(kind, name, position=position)

    def _function(self, token: Token) -> Key:
        function = token.value.lower()
        if function not in FUNCTIONS:
            offered = ", ".join(FUNCTIONS)
            raise self.error(f"unknown function {token}; there are {offered}", token.position)
        self.expect("(")
        key = self.key()
        if key.kind is not Kind.METRIC or key.function != "last":
            raise self.error(f"{function}() takes a metric: metrics.NAME", key.position)
        self.expect(")")
        return Key(key.kind, key.name, function, token.position)

    def _comparison(self) -> Expression:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise self.error(f"more than {MAX_TERMS} comparisons")
        key = self.key()
        token = self.here
        if token.kind is TokenKind.COMPARISON:
            self.advance()
            operator = {"==": "=", "<>": "!="}.get(token.value, token.value)
            return Comparison(key, operator, (self._value(),), token.position)
        if self.accept_word("IS"):
            negated = self.accept_word("NOT")
            if not self.accept_word("NULL"):
                raise self.expected("NULL")
            is_null = Comparison(key, "IS NULL", (), token.position)
            return Not(is_null) if negated else is_null
        negation = "NOT " if self.accept_word("NOT") else ""
        if self.here.keyword in ("LIKE", "ILIKE"):
            operator = negation + self.advance().keyword
            return Comparison(key, operator, (self._value(),), token.position)
        if self.accept_word("IN"):
            return Comparison(key, f"{negation}IN", self._list(), token.position)
        raise self.expected("LIKE, ILIKE or IN" if negation else "a comparison")

    def _list(self) -> tuple[Value, ...]:
        opening = self.expect("(")
        values = [self._value()]
        while self.at(","):
            if len(values) == MAX_LIST:
                raise self.error(f"more than {MAX_LIST} values in a list")
            self.advance()
            values.append(self._value())
        closing = self.expect(")")
        self.list_bytes += len(self._text[opening.end : closing.position].encode())
        return tuple(values)

    def _value(self) -> Value:
        token = self.here
        is_string = token.kind is TokenKind.STRING or (
            token.kind is TokenKind.QUOTED and not token.backticks
        )
        if is_string or token.is_number:
            self.advance()
            return Value(token.value, not is_string, token.position)
        if token.keyword == "NULL":
            raise self.error("compare with IS NULL or IS NOT NULL")
        if token.kind is TokenKind.WORD:
            raise self.error(f"{token} is not a value: put text in 'single quotes'")
        raise self.expected("a value")
