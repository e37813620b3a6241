"""The part of ``runwire gc`` that gives back the space of bytes which nobody needs.

Three sweeps: blobs that no tree holds and whose lease has passed; uploads that have
expired; and what lies in the blob store without a row, because a server died between
the two. Each page is a transaction of its own, and may be the last one that is done:
whatever was removed by then is removed whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

from runwire_server.blobs import BlobStore, blob_key, digest_of_key
from runwire_server.blobs.store import Entry, upload_of_key
from runwire_server.retry import retrying
from runwire_server.store import blob_purge
from runwire_server.store.blob_purge import Spare
from runwire_server.store.database import Database

_PAGE = 500
_SAMPLE = 20
# Bytes get their row within moments of being written, or of being moved to their name, and
# an upload is gone on with for a day at most. Twice that is never too soon.
ORPHAN_AGE_S = 48 * 3600.0

Told = Callable[["Collected"], None]


@dataclass
class Collected:
    """What was, or would be, removed."""

    blobs: int = 0
    uploads: int = 0
    orphans: int = 0
    size_bytes: int = 0


def collect(
    db: Database,
    store: BlobStore,
    *,
    dry_run: bool = False,
    on_progress: Told = lambda collected: None,
) -> Collected:
    """Remove what nobody needs. ``on_progress`` hears of each page."""
    return _Collector(db, store, dry_run, on_progress).run()


class _Collector:
    def __init__(self, db: Database, store: BlobStore, dry_run: bool, on_progress: Told):
        self._db, self._store, self._dry_run = db, store, dry_run
        self._on_progress = on_progress
        self._collected = Collected()

    def run(self) -> Collected:
        self._sweep_blobs()
        self._sweep_uploads()
        if self._is_ours():
            self._sweep_orphans()
        if self._collected.blobs and not self._dry_run:
            self._db.reclaim()
        return self._collected

    def _is_ours(self) -> bool:
        """Whether the store holds what the database says. All else would be orphans in the
        store of another database."""
        with self._db.read() as tx:
            some = blob_purge.in_store(tx, _SAMPLE)
        keys = (blob_key(one.workspace, one.digest, one.generation) for one in some)
        return any(self._store.stat(key) is not None for key in keys)

    def _sweep_blobs(self) -> None:
        after = ("", "")
        while True:
            with self._db.read() as tx:
                page = blob_purge.spare(tx, after, _PAGE)
            if not page:
                return
            after = page[-1].workspace, page[-1].digest
            for workspace, found in groupby(page, lambda one: one.workspace):
                self._remove(workspace, list(found))
            self._on_progress(self._collected)

    def _remove(self, workspace: str, found: list[Spare]) -> None:
        def rows() -> list[Spare]:
            with self._db.write() as tx:
                return blob_purge.remove(tx, workspace, [one.digest for one in found])

        removed = found if self._dry_run else retrying(rows)
        for one in removed:
            if not self._dry_run:
                self._store.delete(blob_key(workspace, one.digest, one.generation))
            self._collected.blobs += 1
            self._collected.size_bytes += one.size_bytes

    def _sweep_uploads(self) -> None:
        after = ""
        while True:
            with self._db.read() as tx:
                page = blob_purge.expired_uploads(tx, after, _PAGE)
            if not page:
                return
            after = page[-1]
            for upload_id in page:
                self._collected.uploads += self._dry_run or self._remove_upload(upload_id)
            self._on_progress(self._collected)

    def _remove_upload(self, upload_id: str) -> bool:
        def row() -> bool:
            with self._db.write() as tx:
                return blob_purge.remove_upload(tx, upload_id)

        if not retrying(row):
            return False
        self._store.drop_upload(upload_id)
        return True

    def _sweep_orphans(self) -> None:
        """Of what is old enough: a row, once it is gone, never comes back under the name."""
        oldest = time.time() - ORPHAN_AGE_S
        for prefix, in_use in (("blobs", self._blobs_in_use), ("uploads", self._uploads_in_use)):
            entries = (
                one
                for one in self._store.entries(prefix)
                if one.modify_time is not None and one.modify_time < oldest
            )
            for page in _pages(entries):
                used = in_use(page)
                for entry in page:
                    if entry.key not in used:
                        self._remove_orphan(entry)
                self._on_progress(self._collected)
        if not self._dry_run:
            self._store.drop_parts(oldest)

    def _remove_orphan(self, entry: Entry) -> None:
        if not self._dry_run:
            self._store.delete(entry.key)
        self._collected.orphans += 1
        self._collected.size_bytes += entry.size_bytes

    def _blobs_in_use(self, page: list[Entry]) -> set[str]:
        digests = [digest for entry in page if (digest := digest_of_key(entry.key))]
        with self._db.read() as tx:
            found = blob_purge.generations(tx, digests)
        return {blob_key(workspace, digest, end) for (workspace, digest), end in found.items()}

    def _uploads_in_use(self, page: list[Entry]) -> set[str]:
        with self._db.read() as tx:
            known = blob_purge.known_uploads(tx, (upload_of_key(entry.key) for entry in page))
        return {entry.key for entry in page if upload_of_key(entry.key) in known}


def _pages(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while page := list(islice(entries, _PAGE)):
        yield page
