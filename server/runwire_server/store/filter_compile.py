"""A filter's tree and an order to SQL, against one noun's schema.

A key of a param, tag or metric is a row found by primary key. Where the filter says
something about it that must hold (a term of the outermost AND) its table is joined, so
that a search may start from that row's side; the order shares the join. Anywhere
else it is EXISTS, which is never null, so NOT needs no care there. Where a search starts
is chosen in ``search_plan``, among the ``Range`` s that are noted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runwire_server.errors import FilterSyntax
from runwire_server.store.dialects import WrittenJoin
from runwire_server.store.filter_tree import And, Comparison, Expression, Key, Kind, Not, OrderTerm
from runwire_server.store.filter_values import Condition, condition
from runwire_server.store.page import SortColumn
from runwire_server.store.ranges import Range, Scope, Walk, of_attribute, of_pair
from runwire_server.store.schemas import Attribute, Pairs, Schema, Type

# SQLite joins 64 tables at most. PostgreSQL makes joins of EXISTS too, and took 1.5 s
# to plan 64 of them; over this number every row is looked up by itself.
MAX_JOINS = 12
# Text sorts by its beginning, so that a page token stays small.
SORTED_CHARACTERS = 256


@dataclass(slots=True)
class _Join:
    row: sa.FromClause
    on: Condition
    inner: bool


class Query:
    """The tables, conditions and order of one search, while it is put together.

    ``scope``: the condition on an experiment_id that the search is within, None for nouns
    that are in no experiment: only one with a scope has ``starts``, and maybe a ``walk``.
    """

    def __init__(self, schema: Schema, collation: str, scope: Scope | None = None):
        self._schema, self._collation, self._scope = schema, collation, scope
        self._joins: dict[tuple[Kind, str], _Join] = {}
        self._subqueries = 0
        self._table = schema.table
        self._ranges: dict[sa.FromClause, Range] = {}
        if scope:
            self._ranges[self._table] = Range(self._table, [scope(self._table.c.experiment_id)])
        self.walk: Walk | None = None
        self.is_filtered = False

    @property
    def source(self) -> sa.FromClause:
        """What to select from: the noun's table and every join so far, read in any order."""
        source: sa.FromClause = self._schema.table
        if self._schema.parent:
            source = source.join(*self._schema.parent)
        for join in self._joins.values():
            source = source.join(join.row, join.on, isouter=not join.inner)
        return source

    def source_from(self, order: Sequence[Range]) -> sa.FromClause:
        """The same, read as it is written: the row of the first range, then the noun's own,
        then the others, those that the filter needs in the order of their ranges."""
        places = {one.row: place for place, one in enumerate(order)}
        joins = sorted(
            self._joins.values(),
            key=lambda join: (not join.inner, places.get(join.row, len(places))),
        )
        first, source = order[0].row, order[0].row
        for join in joins:
            if join.row is first:
                source = WrittenJoin(first, self._table, join.on)
        for join in joins:
            if join.row is first:
                continue
            if join.inner:
                source = WrittenJoin(source, join.row, join.on)
            else:
                source = source.outerjoin(join.row, join.on)
        return source

    @property
    def starts(self) -> list[Range]:
        """The ranges that hold every row of the answer."""
        inner = {join.row for join in self._joins.values() if join.inner}
        return [one for row, one in self._ranges.items() if row in inner or row is self._table]

    def where(self, expression: Expression) -> list[Condition]:
        """The conditions that make up the filter. Raises ``FilterSyntax``."""
        terms = expression.operands if isinstance(expression, And) else (expression,)
        self.is_filtered = True
        return [self._outermost(term) for term in terms]

    def order(self, terms: Sequence[OrderTerm]) -> list[SortColumn]:
        """The columns to sort by, the id last. Raises ``FilterSyntax``."""
        columns = [column for term in terms for column in self._sort_columns(term)]
        self.walk = self._walk(terms[0], columns[0])
        return [*columns, *(SortColumn(part, False, False) for part in self._schema.id)]

    # Filter

    def _outermost(self, term: Expression) -> Condition:
        if (
            isinstance(term, Comparison)
            and term.key.kind in self._schema.pairs
            and term.operator != "IS NULL"
            and len(self._joins) < MAX_JOINS
        ):
            join = self._join(term.key, self._schema.pairs[term.key.kind])
            join.inner = True
            found = self._of_row(term, join.row)
            self._note(join.row, of_pair(term, join.row, found))
            return found
        found = self._clause(term, negated=False)
        if isinstance(term, Comparison) and self._scope:
            self._note(self._table, of_attribute(self._schema, term, found))
        return found

    def _note(self, row: sa.FromClause, within: Condition | None) -> None:
        if within is not None and row in self._ranges:
            self._ranges[row].within.append(within)

    def _clause(self, expression: Expression, *, negated: bool) -> Condition:
        """NOT is carried down to the comparisons, which are the only ones that can be null."""
        if isinstance(expression, Comparison):
            return self._comparison(expression, negated)
        if isinstance(expression, Not):
            return self._clause(expression.operand, negated=not negated)
        operands = [self._clause(part, negated=negated) for part in expression.operands]
        return sa.and_(*operands) if isinstance(expression, And) ^ negated else sa.or_(*operands)

    def _comparison(self, comparison: Comparison, negated: bool) -> Condition:
        key, is_null = comparison.key, comparison.operator == "IS NULL"
        if key.kind in (Kind.ATTRIBUTE, Kind.DATASET):
            attribute = self._schema.attribute(key, "filter")
            if attribute.through is None:
                return self._of_column(comparison, attribute, negated)
            given = [attribute.column != ""] if attribute.unset_is_empty else []
            matches = given if is_null else [self._of_attribute(comparison, attribute)]
            found = self._exists(attribute.column.table, attribute.through, *matches)
        else:
            row, on = self._schema.pairs_of(key, "filter").row(key.name)
            matches = self._present(key, row) if is_null else [self._of_row(comparison, row)]
            found = self._exists(row, on, *matches)
        return sa.not_(found) if negated ^ is_null else found

    def _exists(self, table: sa.FromClause, *conditions: Condition) -> Condition:
        self._subqueries += 1
        found: sa.Select[Any] = (
            sa.select(sa.literal_column("1")).select_from(table).where(*conditions)
        )
        if len(self._joins) + self._subqueries <= MAX_JOINS:
            return found.exists()
        return found.limit(1).scalar_subquery().is_not(None)

    def _of_column(self, comparison: Comparison, attribute: Attribute, negated: bool) -> Condition:
        missing: list[Condition] = []
        if attribute.column.nullable:
            missing = [attribute.column.is_(None)]
        if attribute.unset_is_empty:
            missing = [attribute.column == ""]
        if comparison.operator == "IS NULL":
            found = missing[0] if missing else sa.false()
            return sa.not_(found) if negated else found
        found = self._of_attribute(comparison, attribute)
        if negated and attribute.column.nullable:
            return sa.or_(sa.not_(found), *missing)
        return sa.not_(found) if negated else found

    def _of_attribute(self, comparison: Comparison, attribute: Attribute) -> Condition:
        found = condition(attribute.type, attribute.column, comparison, self._collation)
        if not attribute.unset_is_empty or any(value.text == "" for value in comparison.values):
            return found  # '' asks for what is unset
        if comparison.operator in ("=", "IN"):
            return found  # and cannot be ''
        return sa.and_(found, attribute.column != "")

    def _of_row(self, comparison: Comparison, row: sa.FromClause) -> Condition:
        column, type_ = _value(comparison.key, row)
        if comparison.key.kind is Kind.PARAM and any(v.is_number for v in comparison.values):
            column, type_ = row.c.number, Type.NUMBER
        if type_ is Type.TEXT and comparison.operator in ("=", "IN"):
            # Otherwise SQLite puts the literal into other conditions on the column, and no
            # longer knows them as what an index is over.
            column = column.collate(self._collation)
        return condition(type_, column, comparison, self._collation)

    def _present(self, key: Key, row: sa.FromClause) -> list[Condition]:
        """A series without one finite value has no min, max and mean; its last is NaN."""
        column, type_ = _value(key, row)
        return [column.is_not(None)] if type_ is Type.NUMBER else []

    # Order

    def _sort_columns(self, term: OrderTerm) -> list[SortColumn]:
        key = term.key
        if key.kind in (Kind.ATTRIBUTE, Kind.DATASET):
            attribute = self._schema.attribute(key, "order_by")
            if attribute.through is not None:
                raise FilterSyntax(f"{key.name!r} has several values", key.position, "order_by")
            column: sa.ColumnElement[Any] = attribute.column
            if attribute.unset_is_empty:
                column = sa.func.nullif(column, "", type_=column.type)
            nullable = attribute.column.nullable or attribute.unset_is_empty
            return [SortColumn(self._sortable(attribute.type, column), term.descending, nullable)]
        row = self._join(key, self._schema.pairs_of(key, "order_by")).row
        column, type_ = _value(key, row)
        columns = [SortColumn(self._sortable(type_, column), term.descending, True)]
        if key.kind is Kind.PARAM:  # numbers by size before everything else
            columns.insert(0, SortColumn(row.c.number, term.descending, True))
        return columns

    def _walk(self, term: OrderTerm, first: SortColumn) -> Walk | None:
        """Where an index has the rows in the order of the first column."""
        row: sa.FromClause = self._table
        if term.key.kind in self._schema.pairs:
            row = self._join(term.key, self._schema.pairs[term.key.kind]).row
        if row not in self._ranges or first.expression.key != self._schema.walkable.get(
            term.key.kind
        ):
            return None
        return Walk(self._ranges[row], first.expression, first.descending)

    def _sortable(self, type_: Type, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        if type_ is not Type.TEXT:
            return column
        return sa.func.substr(column, 1, SORTED_CHARACTERS, type_=sa.Text()).collate(
            self._collation
        )

    def _join(self, key: Key, pairs: Pairs) -> _Join:
        join = self._joins.get((key.kind, key.name))
        if join is None:
            row, on = pairs.row(key.name)
            join = self._joins[key.kind, key.name] = _Join(row, on, inner=False)
            if self._scope:
                at = [self._scope(row.c.experiment_id)] if "experiment_id" in row.c else []
                self._ranges[row] = Range(row, [*at, pairs.named(row, key.name)])
        return join


def _value(key: Key, row: sa.FromClause) -> tuple[sa.ColumnElement[Any], Type]:
    if key.kind is not Kind.METRIC:
        return row.c.value, Type.TEXT
    if key.function == "count":
        return row.c.points, Type.INTEGER
    return row.c[key.function], Type.LAST if key.function == "last" else Type.NUMBER
