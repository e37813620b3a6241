"""What a comparison of a column with literals means, for each type of column.

Where the column is null the condition is null, and so not true; ``filter_compile``
makes NOT of it true. Every literal is bound, never part of the SQL text.

Text: bytewise, LIKE with case, ILIKE without; ``%`` and ``_`` match any text and any
one character, a backslash before them takes them as they are. ILIKE ignores the case
of ASCII letters everywhere, of other letters only on PostgreSQL with a locale that
knows them (SQLite's lower() is ASCII only).
Times: a whole number is in milliseconds, as in mlflow, and is compared with the time
in whole milliseconds; a number with up to three decimals, or an ISO-8601 string (UTC
unless it has an offset), is compared to the microsecond.
States: by name, in any case.
NaN: ``metrics.x = NaN`` and ``!= NaN`` ask for it; otherwise NaN differs from every
number and is neither above nor below one.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from runwire.v1.run_pb2 import Run

from runwire_server.errors import FilterSyntax
from runwire_server.store.filter_tree import Comparison, Value
from runwire_server.store.schemas import Type

STATES: dict[str, int] = {
    name.removeprefix("STATE_"): number for name, number in Run.State.items() if number
}

Column = sa.ColumnElement[Any]
Condition = sa.ColumnElement[bool]

_INTEGER = re.compile(r"[+-]?[0-9]{1,25}")
_INT64 = range(-(2**63), 2**63)
_MAX_MILLISECONDS = 10**15  # past the year 9999, far inside int64 as microseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ORDERINGS: dict[str, Callable[[Column, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SIGNS: dict[str, Callable[[Column, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    **_ORDERINGS,
}


def condition(type_: Type, column: Column, comparison: Comparison, collation: str) -> Condition:
    """``column OPERATOR values``. collation: the database's name for bytewise order.

    Raises ``FilterSyntax`` at the value, or at an operator that the type does not have.
    """
    if type_ in (Type.TEXT, Type.ID):
        return _text(column, comparison, collation)
    if type_ is Type.STATE:
        return _state(column, comparison)
    if "LIKE" in comparison.operator:
        raise FilterSyntax(f"{comparison.operator} needs text", comparison.position)
    if type_ is Type.TIME:
        return _time(column, comparison)
    if type_ is Type.INTEGER:
        return _compared(column, comparison, [_integer(value) for value in comparison.values])
    return _number(type_, column, comparison)


def _compared(column: Column, comparison: Comparison, values: list[Any]) -> Condition:
    if comparison.operator == "IN":
        return column.in_(values)
    if comparison.operator == "NOT IN":
        return column.not_in(values)
    compared: Condition = _SIGNS[comparison.operator](column, values[0])
    return compared


def _text(column: Column, comparison: Comparison, collation: str) -> Condition:
    for value in comparison.values:
        if value.is_number:
            raise FilterSyntax(
                f"{comparison.key.name!r} is text: put {value.text} in 'quotes'", value.position
            )
    if "LIKE" in comparison.operator:
        return _like(column, comparison)
    if comparison.operator in _ORDERINGS:
        column = column.collate(collation)
    return _compared(column, comparison, [value.text for value in comparison.values])


def _like(column: Column, comparison: Comparison) -> Condition:
    pattern = comparison.values[0].text
    if comparison.values[0].is_number:
        raise FilterSyntax(f"{comparison.operator} takes a string", comparison.values[0].position)
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:  # PostgreSQL refuses it
        raise FilterSyntax("nothing after the last backslash", comparison.values[0].position)
    case_matters = not comparison.operator.endswith("ILIKE")
    matches = (column.like if case_matters else column.ilike)(pattern, escape="\\")
    return sa.not_(matches) if comparison.operator.startswith("NOT") else matches


def _state(column: Column, comparison: Comparison) -> Condition:
    if "LIKE" in comparison.operator:
        names = {number: name for name, number in STATES.items()}
        return _like(sa.case(names, value=column), comparison)
    if comparison.operator in _ORDERINGS:
        raise FilterSyntax("states have no order: use = or IN", comparison.position)
    return _compared(column, comparison, [_state_number(value) for value in comparison.values])


def _state_number(value: Value) -> int:
    number = None if value.is_number else STATES.get(value.text.upper())
    if number is None:
        names = ", ".join(STATES)
        raise FilterSyntax(f"no state {value.text[:60]!r}; there are {names}", value.position)
    return number


def _integer(value: Value) -> int:
    """Also of a string: the API gives experiment_id as one."""
    if not _INTEGER.fullmatch(value.text):
        raise FilterSyntax("expected a whole number", value.position)
    number = int(value.text)
    if number not in _INT64:
        raise FilterSyntax("beyond 64 bits", value.position)
    return number


def _number(type_: Type, column: Column, comparison: Comparison) -> Condition:
    values = [_float(value) for value in comparison.values]
    if any(map(math.isnan, values)):
        if type_ is not Type.LAST or comparison.operator not in ("=", "!="):
            problem = "NaN is only compared with = and !=, and only a metric's last value is NaN"
            raise FilterSyntax(problem, comparison.values[0].position)
        return column.is_(None) if comparison.operator == "=" else column.is_not(None)
    compared = _compared(column, comparison, values)
    if type_ is Type.LAST and comparison.operator in ("!=", "NOT IN"):
        return sa.or_(compared, column.is_(None))
    return compared


def _float(value: Value) -> float:
    if not value.is_number:
        raise FilterSyntax("expected a number, without quotes", value.position)
    number = float(value.text)
    if math.isinf(number) and "inf" not in value.text.lower():
        raise FilterSyntax("beyond the range of a double", value.position)
    return number


def _time(column: Column, comparison: Comparison) -> Condition:
    times = [_moment(value) for value in comparison.values]
    if comparison.operator in ("IN", "NOT IN"):
        # Truncated to milliseconds, downwards before 1970 too.
        milliseconds = column - ((column % 1000) + 1000) % 1000
        found = sa.or_(
            milliseconds.in_([start for start, end in times if end - start > 1]),
            column.in_([start for start, end in times if end - start == 1]),
        )
        return sa.not_(found) if comparison.operator == "NOT IN" else found
    start, end = times[0]
    if comparison.operator == "=":
        return sa.and_(column >= start, column < end)
    if comparison.operator == "!=":
        return sa.or_(column < start, column >= end)
    edge = start if comparison.operator in ("<", ">=") else end
    return column < edge if "<" in comparison.operator else column >= edge


def _moment(value: Value) -> tuple[int, int]:
    """The microseconds [start, end) that a literal stands for."""
    if value.is_number:
        return _milliseconds(value)
    try:
        moment = datetime.fromisoformat(value.text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        micros = (moment - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError) as error:
        problem = "expected milliseconds since 1970, or a time like '2026-05-01T12:00:00Z'"
        raise FilterSyntax(problem, value.position) from error
    return micros, micros + 1


def _milliseconds(value: Value) -> tuple[int, int]:
    try:
        number = Decimal(value.text)
        if not abs(number) < _MAX_MILLISECONDS:
            raise FilterSyntax("not a time in milliseconds", value.position)
        exact = number.quantize(Decimal("0.001"))
    except ArithmeticError as error:
        raise FilterSyntax("not a time in milliseconds", value.position) from error
    if exact != number:
        raise FilterSyntax("a time has at most three decimals of a millisecond", value.position)
    micros = int(exact * 1000)
    return micros, micros + (1 if micros % 1000 else 1000)
