"""What is sent to be committed, checked and turned into rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from runwire.v1.artifact_pb2 import Artifact

from runwire_server.errors import BlobsMissing, FieldInvalid
from runwire_server.store import blob
from runwire_server.store.check import check_name
from runwire_server.store.database import Transaction
from runwire_server.store.paths import check_path
from runwire_server.store.tables import artifacts
from runwire_server.store.times import from_proto

MAX_URI_BYTES = 4096
MAX_MEDIA_TYPE_BYTES = 255
# "0" follows "/": everything inside a directory sorts between the two.
_AFTER_SLASH = "0"
# Up to so many paths the index is asked for each; above it the tree is read once.
FEW = 100


class Entry(NamedTuple):
    """A row of ``artifacts`` without its owner."""

    path: str
    digest: str  # empty where uri is set
    size_bytes: int
    uri: str
    media_type: str
    modify_time: int


def ordered_path(tx: Transaction) -> sa.ColumnElement[str]:
    """``artifacts.path`` sorted by its bytes, whatever the locale of the database."""
    return artifacts.c.path.collate(tx.bytewise)


def inside(tx: Transaction, directory: str) -> sa.ColumnElement[bool]:
    """The paths below a directory, as a range of the order."""
    path = ordered_path(tx)
    return sa.and_(path > f"{directory}/", path < f"{directory}{_AFTER_SLASH}")


def after(tx: Transaction, directory: str) -> sa.ColumnElement[bool]:
    """The paths that sort after everything in a directory."""
    return ordered_path(tx) >= f"{directory}{_AFTER_SLASH}"


def check(tx: Transaction, workspace: str, sent: Sequence[Artifact]) -> list[Entry]:
    """Raises ``FieldInvalid``, ``TooLarge``, ``BlobsMissing``. Renews the blobs' leases."""
    entries: dict[str, Entry] = {}
    for index, artifact in enumerate(sent):
        field = f"artifacts[{index}]"
        entry = _entry(tx, field, artifact)
        if entry.path in entries:
            raise FieldInvalid(f"{field}.path", f"{entry.path!r} is given twice")
        entries[entry.path] = entry
    found = list(entries.values())
    _check_blobs(tx, workspace, found)
    return found


def check_conflicts(tx: Transaction, owner: str, entries: Sequence[Entry], *, keep: bool) -> None:
    """Raises ``FieldInvalid`` where a path would be both a file and a directory.

    ``keep``: what the tree holds already stays beside the entries.
    """
    index_of = {entry.path: index for index, entry in enumerate(entries)}
    kept = _near(tx, owner, list(index_of)) if keep else []
    files = index_of.keys() | set(kept)
    for path in sorted(files):
        for directory in _directories(path):
            if directory in files:
                index = index_of.get(path, index_of.get(directory, 0))
                raise FieldInvalid(
                    f"artifacts[{index}].path",
                    f"{directory!r} cannot be a file and also the directory of {path!r}",
                )


def _near(tx: Transaction, owner: str, paths: list[str]) -> Iterator[str]:
    """The paths of the tree that can conflict with these."""
    query = sa.select(artifacts.c.path).where(artifacts.c.owner == owner)
    if len(paths) <= FEW:
        directories = {directory for path in paths for directory in _directories(path)}
        above = artifacts.c.path.in_(sorted(directories))
        # Whatever this finds is a conflict, and one is enough.
        query = query.where(sa.or_(above, *(inside(tx, path) for path in paths))).limit(1)
    return (row.path for row in tx.execute(query))


def _directories(path: str) -> Iterator[str]:
    """``a`` and ``a/b`` of ``a/b/c``."""
    end = path.find("/")
    while end != -1:
        yield path[:end]
        end = path.find("/", end + 1)


def _check_blobs(tx: Transaction, workspace: str, entries: Sequence[Entry]) -> None:
    """Some at a time, in the order in which everybody locks them."""
    named = sorted((e.digest, e.size_bytes, index) for index, e in enumerate(entries) if e.digest)
    missing: set[str] = set()
    wrong: list[tuple[int, int]] = []
    for start in range(0, len(named), blob.IN_AT_ONCE):
        some = named[start : start + blob.IN_AT_ONCE]
        stored = blob.renew(tx, workspace, (digest for digest, _, _ in some))
        missing.update(digest for digest, _, _ in some if digest not in stored)
        wrong += [(i, stored[d]) for d, size, i in some if stored.get(d, size) != size]
    if missing:
        raise BlobsMissing(sorted(missing))
    for index, size in sorted(wrong):
        problem = f"{entries[index].size_bytes}, but the blob has {size} bytes"
        raise FieldInvalid(f"artifacts[{index}].blob.size_bytes", problem)


def _entry(tx: Transaction, field: str, artifact: Artifact) -> Entry:
    path = check_path(f"{field}.path", artifact.path)
    if artifact.media_type:
        check_name(f"{field}.media_type", artifact.media_type, MAX_MEDIA_TYPE_BYTES)
    modify_time = tx.now
    if artifact.HasField("modify_time"):
        modify_time = from_proto(f"{field}.modify_time", artifact.modify_time)
    if artifact.HasField("uri"):
        check_name(f"{field}.uri", artifact.uri, MAX_URI_BYTES)
        return Entry(path, "", 0, artifact.uri, artifact.media_type, modify_time)
    blob.check_digest(f"{field}.blob.digest", artifact.blob.digest)
    return Entry(
        path, artifact.blob.digest, artifact.blob.size_bytes, "", artifact.media_type, modify_time
    )
