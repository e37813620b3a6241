"""WatchRuns: the runs that match, as they are after each change.

What has changed is found in the runs themselves, which keep the revision of their last
change: a watcher that falls behind, or comes back with an old cursor, misses no run, and is
told of each as it is now. A run that was purged has no row to tell of.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence

import sqlalchemy as sa
from runwire.v1.run_pb2 import Run
from runwire.v1.run_service_pb2 import WatchRunsRequest, WatchRunsResponse

from runwire_server.errors import FieldInvalid
from runwire_server.retry import retrying
from runwire_server.store import run_change, run_row
from runwire_server.store.database import Database, Transaction
from runwire_server.store.pulse import Pulse
from runwire_server.store.run_search import checked_columns, home, with_data
from runwire_server.store.search import RUNS, matching
from runwire_server.store.tables import runs

# Changes of a run within so long are told once.
INTERVAL_S = 0.1
# Runs of one read; with all they have, some MiB in memory.
PAGE = 100

_VERSION = b"\x01"
_HEAD = 1 + 8
_REVISION_BYTES = 8
_TOPICS = {str(shard): shard for shard in range(run_change.SHARDS)}


def pulse(db: Database) -> Pulse:
    """Looks for changes of any run."""

    def ask(_topics: Collection[str]) -> dict[str, int]:
        with db.read() as tx:
            return {str(shard): number for shard, number in run_change.revisions(tx).items()}

    return Pulse(ask, "runwire-watches")


class Watch:
    """The source of one WatchRuns call. ``begin`` raises ``FieldInvalid``, ``FilterSyntax``."""

    interval_s = INTERVAL_S

    def __init__(self, db: Database, request: WatchRunsRequest):
        self._db, self._request = db, request
        self._columns = checked_columns(request.columns)
        self._digest = _digest_of(request)
        self._seen: list[int] = []

    @property
    def topics(self) -> Collection[str]:
        return _TOPICS

    def begin(self) -> Mapping[str, Hashable]:
        with self._db.read() as tx:
            self._matching(tx, [sa.false()])  # a filter that is wrong is told at once
            now = run_change.revisions(tx)
        current = [now.get(shard, 0) for shard in range(run_change.SHARDS)]
        self._seen = current
        if self._request.cursor:
            self._seen = _decode(self._request.cursor, self._digest)
            if any(seen > newest for seen, newest in zip(self._seen, current, strict=True)):
                raise FieldInvalid("cursor", "is ahead of this database; start again without it")
        return {topic: current[shard] for topic, shard in _TOPICS.items()}

    def news(self, changes: Mapping[str, Hashable]) -> Iterator[WatchRunsResponse]:
        for topic in changes:
            shard, more = _TOPICS[topic], True
            while more and changes[topic] != self._seen[shard]:
                found, newest = retrying(lambda shard=shard: self._changed(shard))  # type: ignore[misc]
                for run, revision in found:
                    self._seen[shard] = revision
                    yield self._response(changed=run)
                more = len(found) == PAGE
                if not more:
                    self._seen[shard] = newest

    def mark(self) -> WatchRunsResponse:
        return self._response(mark=WatchRunsResponse.Mark())

    def _changed(self, shard: int) -> tuple[list[tuple[Run, int]], int]:
        """Some runs of a shard with the revisions of their changes, in the order of these,
        and the newest revision of the shard."""
        with self._db.read() as tx:
            newest = run_change.revisions(tx).get(shard, 0)
            table = runs.c
            changed = (table.change_shard == shard, table.change_revision > self._seen[shard])
            rows = self._matching(tx, changed)
            found = with_data(tx, rows, self._request.view, self._columns, {})
        revisions = [row.change_revision for row in rows]
        return list(zip(found, revisions, strict=True)), newest

    def _matching(
        self, tx: Transaction, changed: Collection[sa.ColumnElement[bool]]
    ) -> Sequence[run_row.RunRow]:
        within = home(tx, self._request, show_deleted=False)
        there = sa.or_(runs.c.delete_time.is_(None), runs.c.delete_time != run_row.PURGED)
        return matching(
            tx,
            RUNS,
            scope=[*changed, within(runs.c.experiment_id), there],
            filter=self._request.filter,
            order=[runs.c.change_revision],
            limit=PAGE,
        )

    def _response(
        self, changed: Run | None = None, mark: WatchRunsResponse.Mark | None = None
    ) -> WatchRunsResponse:
        cursor = _encode(self._seen, self._digest)
        return WatchRunsResponse(changed=changed, mark=mark, cursor=cursor)


def _digest_of(request: WatchRunsRequest) -> bytes:
    """Of what is watched; how a run is shown may change."""
    chosen = WatchRunsRequest(
        experiment_ids=request.experiment_ids, workspace=request.workspace, filter=request.filter
    )
    data = chosen.SerializeToString(deterministic=True)
    return hashlib.blake2b(data, digest_size=8).digest()


def _encode(seen: Collection[int], digest: bytes) -> bytes:
    numbers = b"".join(number.to_bytes(_REVISION_BYTES, "little") for number in seen)
    body = _VERSION + digest + numbers
    return body + _checksum(body)


def _decode(cursor: bytes, digest: bytes) -> list[int]:
    """Raises ``FieldInvalid`` for a cursor that is damaged or of another selection."""
    body = cursor[:-4]
    right = len(body) == _HEAD + _REVISION_BYTES * run_change.SHARDS
    if not right or _checksum(body) != cursor[-4:] or body[:1] != _VERSION:
        raise FieldInvalid("cursor", "is not a cursor of this server; start again without it")
    if body[1:_HEAD] != digest:
        raise FieldInvalid("cursor", "belongs to another selection; start again without it")
    places = range(_HEAD, len(body), _REVISION_BYTES)
    return [int.from_bytes(body[at : at + _REVISION_BYTES], "little") for at in places]


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(4, "little")
