"""What happened in a registry between two revisions, as WatchModels tells it."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from runwire.v1.model_pb2 import ModelEvent
from runwire.v1.registry_service_pb2 import WatchModelsResponse

from runwire_server.store import model, model_event, model_row, model_version
from runwire_server.store.database import Database, Transaction
from runwire_server.store.tables import model_events, model_versions, models

# Windows kept for the other watchers of the same change, and how large one may be for that.
KEPT = 16
KEPT_BYTES = 1 << 20


class Told(NamedTuple):
    """One message, and the names of the model it is about in this window."""

    message: bytes
    names: frozenset[str]


class Windows:
    """Windows by their bounds: the watchers that one change has woken share one reading of
    it. Safe for threads."""

    def __init__(self, db: Database):
        self._db = db
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int, int], _Once] = OrderedDict()

    def read(self, workspace: str, after: int, until: int) -> Sequence[Told]:
        """As ``read``. Those who ask at the same time wait for the first of them."""
        bounds = (workspace, after, until)
        with self._lock:
            once = self._kept.setdefault(bounds, _Once())
            self._kept.move_to_end(bounds)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        told = once.get(lambda: self._read(*bounds))
        if sum(len(one.message) for one in told) > KEPT_BYTES:
            with self._lock:
                self._kept.pop(bounds, None)
        return told

    def _read(self, workspace: str, after: int, until: int) -> Sequence[Told]:
        with self._db.read() as tx:
            return read(tx, workspace, after, until)


class _Once:
    """Something that is read by the first who asks; by the next one where that failed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: Sequence[Told] | None = None

    def get(self, read: Callable[[], Sequence[Told]]) -> Sequence[Told]:
        with self._lock:
            if self._told is None:
                self._told = read()
            return self._told


class _Part(NamedTuple):
    revision: int
    rank: int  # of what has the same revision: the event comes last
    model_id: str
    content: dict[str, Any]


def read(tx: Transaction, workspace: str, after: int, until: int) -> Sequence[Told]:
    """States and events of the revisions after ``after`` up to ``until``, in their order.

    A state belongs to the revision of its last change: what changes again after ``until``
    is left to a later window. Every message carries the revision up to which all is told
    with it, so only the last of a revision carries that one.
    """
    names: dict[str, set[str]] = defaultdict(set)
    events = _events(tx, workspace, after, until, names)
    states = _states(tx, workspace, after, until, names, _moved(events))
    without_event = {part.model_id for part in states}
    parts = [*states, *events]
    _add_past_names(tx, without_event - {part.model_id for part in events}, names)
    parts.sort(key=lambda part: part[:2])
    following = [part.revision for part in parts[1:]] + [until + 1]
    return [
        Told(
            WatchModelsResponse(
                revision=part.revision - (part.revision == next_revision), **part.content
            ).SerializeToString(),
            frozenset(names[part.model_id]),
        )
        for part, next_revision in zip(parts, following, strict=True)
    ]


def _moved(events: Sequence[_Part]) -> dict[str, int]:
    """Models whose versions are other ones to who watches, though none has changed, and when."""
    kinds = (ModelEvent.KIND_MODEL_RENAMED, ModelEvent.KIND_MODEL_RESTORED)
    return {one.model_id: one.revision for one in events if one.content["change"].kind in kinds}


def _states(
    tx: Transaction,
    workspace: str,
    after: int,
    until: int,
    names: dict[str, set[str]],
    moved: dict[str, int],
) -> list[_Part]:
    changed = [models.c.workspace == workspace, models.c.revision > after]
    found = sa.select(models).where(
        *changed, models.c.revision <= until, models.c.delete_time.is_(None)
    )
    model_rows = tx.execute(found).all()
    version_rows = tx.execute(
        model_row.select_versions().where(
            *changed,
            model_versions.c.revision <= until,
            sa.or_(model_versions.c.revision > after, models.c.model_id.in_(moved)),
        )
    ).all()
    for row in model_rows:
        names[row.model_id].add(row.name)
    for row in version_rows:
        names[row.model_id].add(row.model)
    models_found = zip(model_rows, model.messages(tx, model_rows), strict=True)
    versions_found = zip(version_rows, model_version.messages(tx, version_rows), strict=True)
    return [
        *(_Part(row.revision, 0, row.model_id, {"model": one}) for row, one in models_found),
        *(
            _Part(
                max(row.revision, moved.get(row.model_id, 0)),
                1,
                row.model_id,
                {"model_version": one},
            )
            for row, one in versions_found
        ),
    ]


def _events(
    tx: Transaction, workspace: str, after: int, until: int, names: dict[str, set[str]]
) -> list[_Part]:
    happened = sa.select(model_events).where(
        model_events.c.workspace == workspace,
        model_events.c.revision > after,
        model_events.c.revision <= until,
    )
    parts = []
    for row in tx.execute(happened):
        names[row.model_id] |= {row.model, row.previous_model} - {""}
        parts.append(_Part(row.revision, 2, row.model_id, {"change": model_event.message(row)}))
    return parts


def _add_past_names(tx: Transaction, model_ids: set[str], names: dict[str, set[str]]) -> None:
    """Who watches a name hears that its model has another one now."""
    if model_ids:
        of = model_events.c
        past = sa.select(of.model_id, of.model).where(of.model_id.in_(model_ids)).distinct()
        for row in tx.execute(past):
            names[row.model_id].add(row.model)
