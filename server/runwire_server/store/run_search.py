"""How runs are searched."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa
from runwire.v1.run_pb2 import Run
from runwire.v1.run_service_pb2 import RunView, SearchRunsRequest, WatchRunsRequest

from runwire_server.errors import FieldInvalid
from runwire_server.store import experiment
from runwire_server.store.check import experiment_key
from runwire_server.store.database import Transaction
from runwire_server.store.filter_tree import Key, Kind
from runwire_server.store.fit import fit
from runwire_server.store.ranges import Scope
from runwire_server.store.run_data import chunks
from runwire_server.store.run_message import message
from runwire_server.store.run_read import Data
from runwire_server.store.run_row import RunRow
from runwire_server.store.search import RUNS, parse_columns
from runwire_server.store.search import search as search_rows
from runwire_server.store.tables import experiments, runs

MAX_EXPERIMENTS = 10_000
MAX_COLUMNS = 1000
FEW_EXPERIMENTS = 100
Scoped = SearchRunsRequest | WatchRunsRequest

# So many runs of a page are in memory at once before their messages are counted.
RUNS_AT_ONCE = 250


def search(tx: Transaction, request: SearchRunsRequest) -> tuple[list[Run], str]:
    """A page of runs, and the token of the next one.

    Of live experiments: those named (which may be in any workspace), or all of the
    workspace. A page holds fewer runs than ``page_size`` where its message would outgrow
    its limit. With ``columns`` a run carries them, beside what the view brings. Raises
    ``FieldInvalid``, ``FilterSyntax``, ``PageTokenMismatch``.
    """
    columns = checked_columns(request.columns)
    page = partial(
        search_rows,
        tx,
        RUNS,
        scope=[] if request.show_deleted else [runs.c.delete_time.is_(None)],
        home=home(tx, request, show_deleted=request.show_deleted),
        filter=request.filter,
        order_by=request.order_by,
        page_token=request.page_token,
        arguments=(
            tuple(request.experiment_ids),
            request.workspace,
            int(request.view),
            tuple(request.columns),
            request.show_deleted,
        ),
    )
    rows, token = page(page_size=request.page_size)
    names: dict[int, str] = {}
    found = fit(
        run
        for some in chunks(rows, RUNS_AT_ONCE)
        for run in with_data(tx, some, request.view, columns, names)
    )
    if len(found) < len(rows):
        _, token = page(page_size=len(found))
    return found, token


def shows_metrics(request: SearchRunsRequest) -> bool:
    """Whether the answer depends on metrics, so that these must be up to date before."""
    texts = f"{request.filter} {request.order_by} {' '.join(request.columns)}".lower()
    return request.view == RunView.RUN_VIEW_FULL or "metric" in texts


def experiment_keys(request: Scoped) -> list[int] | None:
    """The experiments that are named, as stored; None for all. Raises ``FieldInvalid``."""
    if not request.experiment_ids:
        return None
    keys = {experiment_key("experiment_ids", one) for one in request.experiment_ids}
    if len(keys) > MAX_EXPERIMENTS:
        raise FieldInvalid("experiment_ids", f"more than {MAX_EXPERIMENTS} experiments")
    return sorted(keys)


def with_data(
    tx: Transaction,
    rows: Sequence[RunRow],
    view: RunView,
    columns: Sequence[Key],
    names: dict[int, str],
) -> list[Run]:
    """The runs as a view shows them, with these columns beside."""
    run_ids = [row.run_id for row in rows]
    data = Data(names=names)
    if view == RunView.RUN_VIEW_FULL:
        data.add_full(tx, run_ids)
    data.add_columns(tx, run_ids, columns)
    return [message(row, data) for row in rows]


def checked_columns(columns: Sequence[str]) -> list[Key]:
    """Raises ``FieldInvalid``, ``FilterSyntax``."""
    if len(columns) > MAX_COLUMNS:
        raise FieldInvalid("columns", f"more than {MAX_COLUMNS} columns")
    keys = parse_columns(columns)
    for key in keys:
        if key.kind is Kind.ATTRIBUTE and key.name.lower() not in RUNS.attributes:
            raise FieldInvalid("columns", f"runs have no attribute {key.name[:80]!r}")
    return keys


def home(tx: Transaction, request: Scoped, *, show_deleted: bool) -> Scope:
    """Which experiments a request names, or those of its workspace; as few values where they
    are few: these the databases plan better. ``show_deleted``: those in the trash too."""
    keys, key = experiment_keys(request), experiments.c.experiment_id
    if keys is not None and show_deleted:
        return partial(_among, keys)
    found = sa.select(key)
    if not show_deleted:
        found = found.where(experiments.c.delete_time.is_(None))
    if keys is not None:
        return partial(_among, tx.execute(found.where(key.in_(keys))).scalars().all())
    found = found.where(experiments.c.workspace == experiment.workspace_of(request.workspace))
    few = tx.execute(found.limit(FEW_EXPERIMENTS + 1)).scalars().all()
    return partial(_among, few if len(few) <= FEW_EXPERIMENTS else found)


def _among(
    keys: Sequence[int] | sa.Select[tuple[int]], column: sa.ColumnElement[Any]
) -> sa.ColumnElement[bool]:
    if isinstance(keys, Sequence) and len(keys) == 1:
        return column == keys[0]
    return column.in_(keys)
