"""The catalogue of a run's series, from its summaries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from runwire.v1.metric_pb2 import SeriesInfo
from runwire.v1.metric_service_pb2 import ListSeriesRequest, ListSeriesResponse

from runwire_server.errors import Deleted, NotFound
from runwire_server.metrics.keys import key_id
from runwire_server.metrics.selection import Selection
from runwire_server.store import page
from runwire_server.store.check import check_run_id
from runwire_server.store.database import Database, Transaction
from runwire_server.store.dialects import WrittenJoin
from runwire_server.store.tables import metric_keys, metric_summaries, runs

_NAN = float("nan")
_IN = 1000
# From this many series on a run's page is read from the names.
VERY_MANY = 20_000


def live_run(tx: Transaction, run_id: str, field: str = "run_id") -> sa.Row[Any]:
    """The run's row (run_id, start_time, create_time, last_arrival). Raises ``NotFound``,
    ``Deleted``, ``FieldInvalid``."""
    check_run_id(field, run_id)
    columns = [
        runs.c[name]
        for name in ("run_id", "start_time", "create_time", "delete_time", "last_arrival")
    ]
    row = tx.execute(sa.select(*columns).where(runs.c.run_id == run_id)).one_or_none()
    if row is None:
        raise NotFound("run", run_id)
    if row.delete_time is not None:
        raise Deleted("run", run_id)
    return row


def select_series(
    tx: Transaction,
    run_id: str,
    *,
    keys: Sequence[str] = (),
    prefixes: Sequence[str] = (),
    after: str | None = None,
    limit: int,
) -> Sequence[sa.Row[Any]]:
    """Series of a run by the bytes of their key, those after ``after``.

    Of ``keys`` and those that begin with one of ``prefixes``; all where neither is
    given. Rows have ``name`` and the columns of metric_summaries.
    """
    name = metric_keys.c.name
    query = (
        sa.select(name, metric_summaries)
        .select_from(_read_first(tx, run_id, keys))
        .where(metric_summaries.c.run_id == run_id, *_selected(keys, prefixes))
        .order_by(name)
        .limit(limit)
    )
    if len(prefixes) == 1 and prefixes[0] and not keys:
        query = query.where(name >= prefixes[0], *_before_end(prefixes[0]))
    if after is not None:
        query = query.where(name > after)
    return tx.execute(query).all()


def _read_first(tx: Transaction, run_id: str, keys: Sequence[str]) -> sa.FromClause:
    """Of a run with very many series a page is found by walking the names in their order; of
    others all are found and sorted, however many names there are."""
    of_run: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(metric_summaries)
    some = of_run.where(metric_summaries.c.run_id == run_id).limit(VERY_MANY).subquery()
    count = tx.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    tx.join_as_written()
    tables = (metric_summaries, metric_keys)
    first, second = reversed(tables) if count == VERY_MANY and not keys else tables
    return WrittenJoin(first, second, metric_keys.c.key_id == metric_summaries.c.key_id)


def _before_end(prefix: str) -> list[sa.ColumnElement[bool]]:
    """Before the first text that comes after all that begin with the prefix, by code points."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return []
    following = ord(stem[-1]) + 1
    end = stem[:-1] + chr(0xE000 if following == 0xD800 else following)
    return [metric_keys.c.name < end]


def extent(tx: Transaction, selection: Selection, *, by_time: bool) -> Iterator[sa.Row[Any]]:
    """(run_id, least, greatest) of the steps or times of the selected series, one row for each
    run that has any."""
    table = metric_summaries.c
    low, high = (table.time_min, table.time_max) if by_time else (table.first_step, table.last_step)
    query = (
        sa.select(
            table.run_id, sa.func.min(low).label("least"), sa.func.max(high).label("greatest")
        )
        .join_from(metric_summaries, metric_keys, metric_keys.c.key_id == table.key_id)
        .where(*_selected(selection.keys, selection.prefixes))
        .group_by(table.run_id)
    )
    run_ids = selection.run_ids
    for start in range(0, len(run_ids), _IN):
        yield from tx.execute(query.where(table.run_id.in_(run_ids[start : start + _IN])))


def _selected(keys: Sequence[str], prefixes: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    """Conditions on metric_summaries joined with metric_keys; none: every series."""
    name = metric_keys.c.name
    wanted: list[sa.ColumnElement[bool]] = []
    if keys:
        key_ids = [key_id(key) for key in keys]
        wanted.append(sa.and_(metric_summaries.c.key_id.in_(key_ids), name.in_(list(keys))))
    wanted += [name.startswith(prefix, autoescape=True) for prefix in prefixes if prefix]
    return [sa.or_(*wanted)] if wanted and "" not in prefixes else []


def list_series(db: Database, request: ListSeriesRequest) -> ListSeriesResponse:
    """One page of the catalogue. Raises ``NotFound``, ``Deleted``, ``FieldInvalid``,
    ``PageTokenMismatch``."""
    size = page.clamp(request.page_size)
    query_hash = page.query_hash("ListSeries", request.run_id, request.key_prefix)
    after = None
    if request.page_token:
        after = str(page.decode(request.page_token, query_hash)[0])
    prefixes = [request.key_prefix] if "\x00" not in request.key_prefix else []
    with db.read() as tx:
        live_run(tx, request.run_id)
        rows = (
            select_series(tx, request.run_id, prefixes=prefixes, after=after, limit=size + 1)
            if prefixes
            else []
        )
    response = ListSeriesResponse(series=[_to_message(row) for row in rows[:size]])
    if len(rows) > size:
        response.next_page_token = page.encode([rows[size - 1].name], query_hash)
    return response


def _to_message(row: sa.Row[Any]) -> SeriesInfo:
    """Where no value was finite there is no least or greatest: NaN stands for it."""
    return SeriesInfo(
        key=row.name,
        points=row.points,
        first_step=row.first_step,
        last_step=row.last_step,
        last=_NAN if row.last is None else row.last,
        min=_NAN if row.min is None else row.min,
        max=_NAN if row.max is None else row.max,
        mean=_NAN if row.mean is None else row.mean,
        non_finite=row.non_finite,
    )
