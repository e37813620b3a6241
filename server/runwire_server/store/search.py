"""Search of one noun: filter, order, keyset paging. The same for every noun.

rows, next_page_token = search(
    tx, RUNS,
    scope=[runs.c.delete_time.is_(None)], home=lambda column: column == 5,
    filter=request.filter, order_by=request.order_by,
    page_size=request.page_size, page_token=request.page_token,
    arguments=(tuple(request.experiment_ids), request.view, tuple(request.columns)),
)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from runwire_server.store import page
from runwire_server.store.columns import parse_columns
from runwire_server.store.database import Transaction
from runwire_server.store.filter import parse, parse_order
from runwire_server.store.filter_compile import Query
from runwire_server.store.filter_tree import Key, Kind
from runwire_server.store.ranges import Scope
from runwire_server.store.schemas import EXPERIMENTS, MODEL_VERSIONS, MODELS, RUNS, Schema
from runwire_server.store.search_plan import Plan

__all__ = [
    "EXPERIMENTS",
    "MODELS",
    "MODEL_VERSIONS",
    "RUNS",
    "Key",
    "Kind",
    "matching",
    "parse_columns",
    "search",
]


def search(
    tx: Transaction,
    schema: Schema,
    *,
    scope: Sequence[sa.ColumnElement[bool]] = (),
    home: Scope | None = None,
    filter: str = "",
    order_by: str = "",
    page_size: int = 0,
    page_token: str = "",
    arguments: tuple[object, ...] = (),
) -> tuple[list[sa.Row[Any]], str]:
    """One page of rows, and the token of the next page ("" after the last).

    A row has every column of the noun's main table by its name (``row.run_id``); a row
    of MODEL_VERSIONS also has ``model`` (the model's name) and ``workspace``. Columns
    whose name begins with ``order_`` after them belong to the paging.

    scope: conditions on the main table (for MODEL_VERSIONS also on ``models``) that the
    caller sets: workspace, trash. home: of RUNS, which experiments, as a condition on an
    experiment's id in any table. Where there is one say ``column == x`` and not
    ``column.in_([x])``: the databases plan it better.
    order_by "" is the noun's default order. page_size as in ``page.clamp``.
    arguments: everything else that makes this another query (ids, view, columns,
    show_deleted; not page_size), of str, int, bool, None and tuples of these: a token
    is good only for the arguments it was made with.

    Raises FilterSyntax (field "filter" or "order_by"), FieldInvalid("page_size"),
    PageTokenMismatch.
    """
    limit = page.clamp(page_size)
    query = Query(schema, tx.bytewise, home)
    expression = parse(filter)
    within = [home(schema.table.c.experiment_id)] if home else []
    conditions = [*scope, *within, *(query.where(expression) if expression else ())]
    order = query.order(parse_order(order_by) or parse_order(schema.default_order))
    query_hash = page.query_hash(schema.noun, filter, order_by, arguments)
    position = page.decode(page_token, query_hash) if page_token else None
    if position is not None:
        conditions.append(page.after(order, position))
    statement = sa.select(
        *schema.table.columns,
        *schema.parent_columns,
        *(column.expression.label(f"order_{i}") for i, column in enumerate(order)),
    ).where(*conditions)
    rows = Plan(tx, query, statement, order, limit + 1).rows(position)
    if len(rows) <= limit:
        return rows, ""
    last = rows[limit - 1]
    return rows[:limit], page.encode(last[-len(order) :], query_hash)


def matching(
    tx: Transaction,
    schema: Schema,
    *,
    scope: Sequence[sa.ColumnElement[bool]],
    filter: str,
    order: Sequence[sa.ColumnElement[Any]],
    limit: int,
) -> Sequence[sa.Row[Any]]:
    """The first rows that a filter finds, without pages. Raises ``FilterSyntax``."""
    query = Query(schema, tx.bytewise)
    expression = parse(filter)
    conditions = [*scope, *(query.where(expression) if expression else ())]
    statement = sa.select(*schema.table.columns).select_from(query.source).where(*conditions)
    return tx.execute(statement.order_by(*order).limit(limit)).all()
