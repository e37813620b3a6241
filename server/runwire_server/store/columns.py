"""The columns that a table of runs asks for: ``SearchRunsRequest.columns``."""

from __future__ import annotations

from collections.abc import Sequence

from runwire_server.errors import FieldInvalid, FilterSyntax
from runwire_server.store.filter import MAX_BYTES, parse_key
from runwire_server.store.filter_tokens import check_text
from runwire_server.store.filter_tree import FUNCTIONS, PREFIXES, Key, Kind
from runwire_server.store.schemas import RUNS


def parse_columns(columns: Sequence[str]) -> list[Key]:
    """Of each: "params.lr", "metrics.loss", "min(metrics.loss)", "tags.x".

    A column is one key and nothing else, so an odd key needs no quotes here
    ("metrics.my key"); it may have them. An attribute is allowed too, though a BASIC
    view has it anyway. ``Key.kind`` says what it is, ``Key.function`` what of a metric,
    ``Key.label`` the name in ``Run.metrics``. Raises ``FieldInvalid("columns")``.
    """
    return [_column(column) for column in columns]


def _column(column: str) -> Key:
    try:
        check_text(column, "columns", MAX_BYTES)
        if any(quote in column for quote in '"`'):
            key = _quoted(column) or _plain(column)
        else:
            key = _plain(column)
        if key.kind in (Kind.ATTRIBUTE, Kind.DATASET):
            RUNS.attribute(key, "columns")
    except FilterSyntax as error:
        known = "metrics.NAME, params.NAME, tags.NAME, min(metrics.NAME) or an attribute"
        raise FieldInvalid("columns", f"{column[:100]!r} is not {known}") from error
    return key


def _quoted(column: str) -> Key | None:
    """None where the quotes are not round the name but in it."""
    try:
        return parse_key(column, "columns")
    except FilterSyntax:
        return None


def _plain(column: str) -> Key:
    function, inner = "last", column.strip()
    name, bracket, rest = inner.partition("(")
    if bracket and rest.endswith(")") and name.strip().lower() in FUNCTIONS:
        function, inner = name.strip().lower(), rest[:-1].strip()
    prefix, dot, name = inner.partition(".")
    kind = PREFIXES.get(prefix.lower()) if dot else None
    if name and kind and (kind is Kind.METRIC or function == "last"):
        return Key(kind, name, function)
    if kind or function != "last":
        raise FilterSyntax("not a metric", 0, "columns")
    return Key(Kind.ATTRIBUTE, inner)
