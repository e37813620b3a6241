"""Parts of indexes that hold every row a search may find, so that it can start from one.

Each stands for the rows of one key of a param, tag or metric, or for the runs of the
searched experiments, as far as the filter narrows them in the order of an index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import ge, gt, le, lt
from typing import Any

import sqlalchemy as sa

from runwire_server.store.database import Transaction
from runwire_server.store.filter_tree import Comparison, Kind
from runwire_server.store.filter_values import Condition
from runwire_server.store.page import SortColumn
from runwire_server.store.run_data import number
from runwire_server.store.schemas import Schema
from runwire_server.store.tables import INDEXED

Scope = Callable[[sa.ColumnElement[Any]], Condition]
"""The condition on an experiment's id that a search is within."""

_EQUAL = ("=", "IN")
_RANGED = (*_EQUAL, "<", "<=", ">", ">=")


@dataclass(slots=True)
class Range:
    """The rows of ``row`` (a table, or an alias of one) for which all of ``within`` is true."""

    row: sa.FromClause
    within: list[Condition] = field(default_factory=list)

    def count(self, tx: Transaction, most: int) -> int:
        """How many rows it has; ``most`` where it has more."""
        some: sa.Select[Any] = (
            sa.select(sa.literal_column("1")).select_from(self.row).where(*self.within)
        )
        counted = sa.select(sa.func.count()).select_from(some.limit(most).subquery())
        return int(tx.execute(counted).scalar_one())


@dataclass(frozen=True, slots=True)
class Walk:
    """A range in whose index the rows lie in the order of the search's first column."""

    range: Range
    column: sa.ColumnElement[Any]
    descending: bool

    @property
    def order(self) -> SortColumn:
        """Of the rows that have a value: without a place for nulls an index serves it."""
        return SortColumn(self.column, self.descending, nullable=False)

    def beyond(self, edge: Any, *, inclusive: bool) -> Condition:
        """From ``edge`` on, in the order."""
        compare = (le if inclusive else lt) if self.descending else (ge if inclusive else gt)
        found: Condition = compare(self.column, edge)
        return found

    def up_to(self, edge: Any) -> Condition:
        found: Condition = (ge if self.descending else le)(self.column, edge)
        return found

    def edge(self, tx: Transaction, rows: int, within: Sequence[Condition]) -> Any:
        """The value that so many rows come before; None where there are not so many."""
        query = sa.select(self.column).where(*self.range.within, *within)
        return tx.execute(query.order_by(self.order.order).offset(rows).limit(1)).scalar()


def of_pair(comparison: Comparison, row: sa.FromClause, found: Condition) -> Condition | None:
    """What of a comparison the index of a param, tag or metric serves; None: nothing."""
    if comparison.operator not in _RANGED:
        return None
    if comparison.key.kind is Kind.METRIC:
        return found if comparison.key.function == "last" else None
    if any(value.is_number for value in comparison.values):
        return found
    if comparison.operator not in _EQUAL:
        return None
    return _texts(comparison, row)


def of_attribute(schema: Schema, comparison: Comparison, found: Condition) -> Condition | None:
    """The same for a column of the noun's own."""
    if comparison.key.kind is not Kind.ATTRIBUTE or comparison.operator not in _RANGED:
        return None
    column = schema.attribute(comparison.key, "filter").column
    return found if column in schema.indexed else None


def _texts(comparison: Comparison, row: sa.FromClause) -> Condition | None:
    texts = [value.text for value in comparison.values]
    begin = sa.func.substr(
        row.c.value, sa.literal_column("1"), sa.literal_column(str(INDEXED)), type_=sa.Text()
    )
    starts = [text[:INDEXED] for text in texts]
    found: Condition = begin == starts[0] if len(starts) == 1 else begin.in_(starts)
    if comparison.key.kind is Kind.TAG:
        return found
    numbers = {number(text) for text in texts}  # the index has them before the text
    if numbers == {None}:
        return sa.and_(row.c.number.is_(None), found)
    return None if None in numbers else row.c.number.in_(sorted(map(float, numbers)))  # type: ignore[arg-type]
