"""How a search is carried out: where it starts, so that it reads few rows.

A filter that few runs pass is answered from the smallest range that it gives: its rows
are counted, up to a bound, and everything else is looked up row by row. Otherwise the
first page is among the first rows of the order: its index is walked in windows that
grow, each row looked up in turn, until the page is full or as many rows were seen as
the smallest range has. Rows without a value to sort by come last, and are looked for
only then. The databases could choose by themselves, but SQLite keeps no statistics and
PostgreSQL's take every condition as independent of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from runwire_server.store.database import Transaction
from runwire_server.store.filter_compile import Query
from runwire_server.store.filter_values import Condition
from runwire_server.store.page import Position, SortColumn
from runwire_server.store.ranges import Range, Walk

# Larger ranges are taken as equally large: counting costs, too.
MOST_COUNTED = 4_000
# The first window of a search with a filter, in pages.
FIRST_WINDOW = 32
GROWTH = 4

Rows = list[sa.Row[Any]]


class Plan:
    """One page: the first ``limit`` rows of ``statement`` (without its tables) in ``order``."""

    def __init__(
        self,
        tx: Transaction,
        query: Query,
        statement: sa.Select[Any],
        order: Sequence[SortColumn],
        limit: int,
    ):
        self._tx, self._query, self._limit = tx, query, limit
        self._statement, self._order = statement, order
        self._found: Rows = []

    def rows(self, position: Position | None) -> Rows:
        """position: after which the page begins; the statement has the condition for it."""
        if not self._query.starts:
            statement = self._statement.select_from(self._query.source)
            return list(self._tx.execute(self._page(statement, self._order)))
        self._tx.join_as_written()
        least = self._compare_starts()
        walk = self._query.walk
        if walk is None or (position is not None and position[0] is None):
            self._read(self._starts[0])
        else:
            self._walk(walk, position, least)
        return self._found

    def _compare_starts(self) -> int | None:
        """Put the smallest one first. How many rows it has; None: very many."""
        counts: dict[sa.FromClause, int] = {}
        for one in self._query.starts:
            counts[one.row] = one.count(self._tx, min([MOST_COUNTED, *counts.values()]))
        self._starts = sorted(self._query.starts, key=lambda one: counts[one.row])
        least = counts[self._starts[0].row]
        return least if least < MOST_COUNTED else None

    def _walk(self, walk: Walk, position: Position | None, most: int | None) -> None:
        """Window by window; where that would see more than ``most`` rows, all the rest at once."""
        size = self._limit * (FIRST_WINDOW if self._query.is_filtered else 1)
        seen = 0
        behind = [] if position is None else [walk.beyond(position[0], inclusive=True)]
        while most is None or seen + size < most:
            valued = [walk.column.is_not(None), *behind]
            edge = walk.edge(self._tx, size, valued)
            if edge is not None:
                valued.append(walk.up_to(edge))
            self._read(walk.range, valued, [walk.order, *self._order[1:]])
            if len(self._found) == self._limit:
                return
            if edge is None:
                self._read_missing(walk)
                return
            behind = [walk.beyond(edge, inclusive=False)]
            seen, size = seen + size, size * GROWTH
        rest = [sa.or_(*behind, walk.column.is_(None))] if behind else []
        self._read(self._starts[0], rest)

    def _read_missing(self, walk: Walk) -> None:
        """Runs without a value to sort by."""
        inside = walk.range in self._query.starts
        self._read(walk.range if inside else self._starts[0], [walk.column.is_(None)])

    def _read(
        self,
        start: Range,
        conditions: Sequence[Condition] = (),
        order: Sequence[SortColumn] | None = None,
    ) -> None:
        ranges = [start, *(one for one in self._starts if one is not start)]
        statement = self._statement.select_from(self._query.source_from(ranges))
        statement = statement.where(*start.within, *conditions)
        self._found += self._tx.execute(self._page(statement, order or self._order)).all()

    def _page(self, statement: sa.Select[Any], order: Sequence[SortColumn]) -> sa.Select[Any]:
        ordered = statement.order_by(*(column.order for column in order))
        return ordered.limit(self._limit - len(self._found))
