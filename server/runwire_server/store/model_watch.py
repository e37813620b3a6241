"""WatchModels: what changed after a revision, then what changes, until the caller hangs up.

A watch queues nothing: it has its place, a revision, and reads on from there when the
registry has gone on. So it takes the memory of one window however slow its reader is, and
the end of a quick succession of changes is always told.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from runwire.v1.registry_service_pb2 import WatchModelsRequest, WatchModelsResponse

from runwire_server.errors import FieldInvalid
from runwire_server.retry import retrying
from runwire_server.store import model, model_row, model_version
from runwire_server.store.database import Database
from runwire_server.store.experiment import workspace_of
from runwire_server.store.model_name import check_name
from runwire_server.store.model_window import Windows
from runwire_server.store.tables import model_versions, models, registry_revisions

MAX_MODELS = 1000
# How far back a watch can go on from; what is further back is told quicker by a snapshot.
MOST_BEHIND = 10_000
# Revisions told from one reading, and rows of a snapshot.
STEP, PAGE = 100, 200
_IN = 1000


def revisions(db: Database, workspaces: Collection[str]) -> dict[str, int]:
    """Where the registries of these workspaces are."""
    wanted = sorted(workspaces)
    with db.read() as tx:
        return {
            row.workspace: row.revision
            for start in range(0, len(wanted), _IN)
            for row in tx.execute(
                sa.select(registry_revisions).where(
                    registry_revisions.c.workspace.in_(wanted[start : start + _IN])
                )
            )
        }


class Watch:
    """The source of one WatchModels call; its events are serialized."""

    interval_s = 0.0

    def __init__(self, db: Database, windows: Windows, request: WatchModelsRequest):
        """Raises ``FieldInvalid`` and ``TooLarge``."""
        if len(request.models) > MAX_MODELS:
            raise FieldInvalid("models", f"at most {MAX_MODELS} in a call")
        for name in request.models:
            check_name("models", name)
        if request.after_revision < 0:
            raise FieldInvalid("after_revision", "must not be negative")
        start = request.WhichOneof("start")
        if start == "snapshot_first" and not request.snapshot_first:
            raise FieldInvalid("snapshot_first", "is true, or not set")
        if start == "snapshot_first" and request.last_only:
            raise FieldInvalid("last_only", "a snapshot is whole")
        self._db, self._windows = db, windows
        self._workspace = workspace_of(request.workspace)
        self._names = frozenset(request.models)
        self._start, self._last_only = start, request.last_only
        self._told = request.after_revision
        self.is_over = False

    @property
    def topics(self) -> Collection[str]:
        return (self._workspace,)

    def begin(self) -> Mapping[str, Hashable]:
        found = revisions(self._db, self.topics)
        if self._start != "after_revision":
            self._told = found.get(self._workspace, 0)
        return {self._workspace: found.get(self._workspace, 0)}

    def news(self, changes: Mapping[str, Hashable]) -> Iterator[bytes]:
        if self._start == "snapshot_first":
            yield from self._snapshot()
            self._start = None
        until = self._until(changes)
        if not 0 <= until - self._told <= MOST_BEHIND:
            self.is_over = True
            expired = WatchModelsResponse.Expired()
            yield WatchModelsResponse(expired=expired, revision=until).SerializeToString()
        while not self.is_over and self._told < until:
            step = min(until, self._told + STEP)
            yield from self._window(step)
            self._told = step

    def mark(self) -> bytes | None:
        if self._start == "snapshot_first":
            return None  # it was left in the middle: no revision says what of it was told
        mark = WatchModelsResponse.Mark()
        return WatchModelsResponse(mark=mark, revision=self._told).SerializeToString()

    def _until(self, changes: Mapping[str, Hashable]) -> int:
        until = cast(int, changes[self._workspace] or 0)
        if until < self._told:  # found before ``begin`` looked, or the past is another one
            until = retrying(lambda: revisions(self._db, self.topics)).get(self._workspace, 0)
        return until

    def _window(self, until: int) -> Iterator[bytes]:
        window = retrying(lambda: self._windows.read(self._workspace, self._told, until))
        mine = [one.message for one in window if not self._names or self._names & one.names]
        return iter(mine[-1:] if self._last_only else mine)

    def _snapshot(self) -> Iterator[bytes]:
        """Read in pieces: what changes meanwhile is told after the mark."""
        name = ""
        while page := self._page(self._models_after(name), model.messages):
            yield from (_state(model=message) for _, message in page)
            ids, after = [row.model_id for row, _ in page], ("", 0)
            while found := self._page(_versions_after(ids, *after), model_version.messages):
                yield from (_state(model_version=message) for _, message in found)
                after = (found[-1][0].model_id, found[-1][0].version)
            name = page[-1][0].name

    def _models_after(self, name: str) -> sa.Select[Any]:
        found = sa.select(models).where(
            models.c.workspace == self._workspace,
            models.c.delete_time.is_(None),
            models.c.name > name,
        )
        if self._names:
            found = found.where(models.c.name.in_(self._names))
        return found.order_by(models.c.name)

    def _page(self, query: sa.Select[Any], messages: Any) -> list[tuple[sa.Row[Any], Any]]:
        """The next rows of a query, and what is told of each."""

        def read() -> list[tuple[sa.Row[Any], Any]]:
            with self._db.read() as tx:
                rows = tx.execute(query.limit(PAGE)).all()
                return list(zip(rows, messages(tx, rows), strict=True))

        return retrying(read)


def _versions_after(ids: Sequence[str], model_id: str, version: int) -> sa.Select[Any]:
    place = (model_versions.c.model_id, model_versions.c.version)
    return (
        model_row.select_versions()
        .where(place[0].in_(ids), sa.tuple_(*place) > (model_id, version))
        .order_by(*place)
    )


def _state(**state: Any) -> bytes:
    return WatchModelsResponse(**state).SerializeToString()
