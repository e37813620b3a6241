"""All that one run carries, in one query: to get a run costs mostly round trips."""

from __future__ import annotations

import math
from typing import Any

import sqlalchemy as sa

from runwire_server.store.database import Transaction
from runwire_server.store.tables import (
    metric_keys,
    metric_summaries,
    run_inputs,
    run_params,
    run_tags,
)

Entries = tuple[dict[str, str], dict[str, str], dict[str, float], dict[str, bytes]]


def first(tx: Transaction, run_id: str, limit: int) -> Entries:
    """The first params, tags, last values of metrics and inputs, at most ``limit`` of each."""
    found: Entries = ({}, {}, {}, {})
    params, tags, metrics, inputs = found
    for kind, key, text, number, data in tx.tuples(_FIRST, of_run=run_id, most=limit):
        if kind == _METRIC:
            metrics[key] = math.nan if number is None else number
        elif kind == _INPUT:
            inputs[key] = data
        else:
            (params if kind == _PARAM else tags)[key] = text
    return found


def _part(
    kind: int,
    source: sa.FromClause,
    order: sa.Column[Any],
    key: sa.Column[Any],
    **value: sa.Column[Any],
) -> sa.Select[Any]:
    """Rows of a kind, a key and the value in the column of its type."""
    part = (
        sa.select(
            sa.literal_column(str(kind)).label("kind"),
            key.label("key"),
            *(value.get(name, sa.cast(sa.null(), type_)).label(name) for name, type_ in _TYPES),
        )
        .select_from(source)
        .where(order.table.c.run_id == sa.bindparam("of_run"))
        .order_by(order)
        .limit(sa.bindparam("most", type_=sa.Integer()))
    )
    return sa.select(part.subquery())  # SQLite takes a LIMIT in a part only so


_TYPES: tuple[tuple[str, sa.types.TypeEngine[Any]], ...] = (
    ("text", sa.Text()),
    ("number", sa.Double()),
    ("data", sa.LargeBinary()),
)
_PARAM, _TAG, _METRIC, _INPUT = range(4)
_NAMED = metric_summaries.join(metric_keys, metric_keys.c.key_id == metric_summaries.c.key_id)
_FIRST = sa.union_all(
    _part(_PARAM, run_params, run_params.c.key, run_params.c.key, text=run_params.c.value),
    _part(_TAG, run_tags, run_tags.c.key, run_tags.c.key, text=run_tags.c.value),
    _part(
        _METRIC, _NAMED, metric_summaries.c.key_id, metric_keys.c.name,
        number=metric_summaries.c.last,
    ),
    _part(
        _INPUT, run_inputs, run_inputs.c.input_id, run_inputs.c.input_id,
        data=run_inputs.c.dataset_input,
    ),
)  # fmt: skip
