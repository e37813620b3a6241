"""What a process holds of the registry: answers for who asks, news for who watches."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from runwire.v1.registry_service_pb2 import WatchModelsRequest

from runwire_server.store import model_event, model_watch
from runwire_server.store.database import Announcement, Database
from runwire_server.store.live import Live
from runwire_server.store.model_snapshot import ModelSnapshot
from runwire_server.store.model_watch import Watch
from runwire_server.store.model_window import Windows
from runwire_server.store.pulse import Pulse


class Registry:
    """Safe for threads. ``close`` it before the database."""

    def __init__(self, db: Database):
        self._db = db
        self._snapshot = ModelSnapshot(db)
        self._windows = Windows(db)
        self._pulse = Pulse(lambda found: model_watch.revisions(db, found), "runwire-registry")
        db.listen(self._committed)

    def resolve(
        self,
        references: Sequence[str],
        workspace: str,
        min_revision: int = 0,
        at: int | None = None,
    ) -> bytes:
        """As ``ModelSnapshot.resolve``; of the past where ``at`` (µs) is given."""
        if at is not None:
            return self._snapshot.resolve_then(references, workspace, at)
        return self._snapshot.resolve(references, workspace, min_revision)

    def watch(
        self, request: WatchModelsRequest, drain: threading.Event, lasts_s: float
    ) -> Watching:
        """A call that follows a registry; see ``Live`` and ``Watch`` for what it raises."""
        return Watching(Watch(self._db, self._windows, request), self._pulse, drain, lasts_s)

    def close(self) -> None:
        self._pulse.close()

    def _committed(self, change: Announcement) -> None:
        if change.kind == model_event.REGISTRY:
            self._pulse.ring()


class Watching(Live[bytes]):
    """Ends by itself where its place has expired."""

    def __init__(self, watch: Watch, pulse: Pulse, drain: threading.Event, lasts_s: float):
        super().__init__(watch, pulse, drain, lasts_s)
        self._watch = watch

    def events(self) -> Iterator[bytes]:
        for event in super().events():
            yield event
            if self._watch.is_over:
                return
