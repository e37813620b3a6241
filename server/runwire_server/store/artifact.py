"""Trees of artifacts: which paths a run or a model version holds, and their blobs.

The owner of a tree is a key: ``run/RUN_ID`` or ``version/WORKSPACE/MODEL_ID/NUMBER``
(by the model's id, because its name can be used again). ``owner_to_read`` and
``owner_to_change`` make it from what a request names.

The **tree digest** stands for all paths and contents of a tree. Artifacts are sorted
by the UTF-8 bytes of their path, and for each of them these bytes go into one SHA-256::

    PATH "\\0" CONTENT "\\n"

CONTENT is the blob's digest (``sha256:…``), or ``uri:`` and the URI of an artifact
that is kept elsewhere. The tree digest is ``sha256:`` and the 64 hex digits; media
types and times are not in it. Paths are relative to the prefix that was asked for.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from runwire.v1.artifact_pb2 import Artifact, ArtifactOwner, Blob
from runwire.v1.artifact_service_pb2 import CommitArtifactsRequest

from runwire_server.errors import FieldInvalid, NotFound, TreeSealed
from runwire_server.retry import TransactionConflict
from runwire_server.store import artifact_entry, blob, model_row, run_row
from runwire_server.store.artifact_entry import Entry
from runwire_server.store.check import check_run_id
from runwire_server.store.database import Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.paths import check_path, check_prefix
from runwire_server.store.tables import artifacts, experiments, runs
from runwire_server.store.times import to_proto

if TYPE_CHECKING:
    from runwire_server.store.database import Insert

ROWS_AT_ONCE = 1000
# Each is a statement, in a transaction that others wait for.
MAX_DELETE_PATHS = 1000


class Tree(NamedTuple):
    """A tree, or the part of it under a prefix, in three figures."""

    digest: str
    files: int
    size_bytes: int


def run_owner(run_id: str) -> str:
    return f"run/{run_id}"


def version_owner(workspace: str, model_id: str, version: int) -> str:
    return f"version/{workspace}/{model_id}/{version}"


def owner_to_read(tx: Transaction, owner: ArtifactOwner) -> str:
    """The owner's key. Raises ``NotFound``, and ``FieldInvalid`` for no or a malformed owner.

    A run in the trash can still be read; a version is found by its live model's name.
    """
    if owner.HasField("model_version"):
        key = owner.model_version
        model = model_row.find(tx, workspace_of(key.workspace), key.model)
        model_row.find_version(tx, model, key.version)
        return version_owner(model.workspace, model.model_id, key.version)
    if not owner.HasField("run_id"):
        raise FieldInvalid("owner", "name a run_id or a model_version")
    check_run_id("owner.run_id", owner.run_id)
    _find_run(tx, sa.select(runs.c.delete_time), owner.run_id)
    return run_owner(owner.run_id)


def owner_to_change(tx: Transaction, owner: ArtifactOwner) -> str:
    """As ``owner_to_read``, and no other transaction changes its tree meanwhile.

    Raises ``TreeSealed`` for a model version, ``Deleted`` for a run that is in the trash,
    or its experiment. The state of the run does not matter: results are also added to runs
    that have ended.
    """
    key = owner_to_read(tx, owner)
    if owner.HasField("model_version"):
        version = owner.model_version
        raise TreeSealed(f"model version {version.model}/{version.version}")
    run_row.locked_live(tx, owner.run_id)
    return key


def commit(
    tx: Transaction,
    owner: str,
    sent: Sequence[Artifact],
    mode: CommitArtifactsRequest.Mode = CommitArtifactsRequest.MODE_MERGE,
) -> Tree:
    """Point paths at blobs, all or nothing; returns the whole tree after it.

    MERGE adds and overwrites paths, REPLACE leaves these paths and no others. The blobs'
    leases start anew. Raises ``BlobsMissing``; ``FieldInvalid`` for a bad path, one given
    twice or both a file and a directory, and for a size that is not the blob's.
    """
    workspace = workspace_of_owner(tx, owner)
    entries = artifact_entry.check(tx, workspace, sent)
    replace = mode == CommitArtifactsRequest.MODE_REPLACE
    artifact_entry.check_conflicts(tx, owner, entries, keep=not replace)
    if replace:
        tx.execute(sa.delete(artifacts).where(artifacts.c.owner == owner))
    _write(tx, owner, workspace, entries)
    return tree_digest(tx, owner)


def tree_digest(tx: Transaction, owner: str, prefix: str = "") -> Tree:
    """(digest, files, size_bytes) of what lies under ``prefix``: a directory, or one file.

    The digest of an empty tree is that of no bytes. Its exact form stands in the
    module's docstring.
    """
    return _digest_of(_under(tx, owner, prefix))


def copy_tree(tx: Transaction, source_owner: str, source_path: str, target_owner: str) -> Tree:
    """Copy what lies under ``source_path`` to the root of another tree, of one workspace.

    ``source_path`` is a directory, a file (which keeps its last segment as its name), or
    "" for everything. Returns the (digest, files, size_bytes) of the copy. Raises
    ``NotFound`` where nothing is there.
    """
    prefix = check_prefix("source_path", source_path)
    entries = list(_under(tx, source_owner, prefix))
    if not entries:
        raise NotFound("artifact", prefix or source_owner)
    workspace = workspace_of_owner(tx, source_owner)
    if workspace_of_owner(tx, target_owner) != workspace:
        raise FieldInvalid("source_run_id", "it belongs to another workspace")
    # Held before it is named: the source may lose it, and the collector come by, meanwhile.
    digests = {entry.digest for entry in entries if entry.digest}
    if blob.renew(tx, workspace, digests).keys() != digests:
        raise TransactionConflict(what="the source was removed")
    _write(tx, target_owner, workspace, entries)
    return _digest_of(entries)


def get(tx: Transaction, owner: str, path: str, field: str = "path") -> Artifact:
    """One file of a tree. Raises ``NotFound``; a directory is not one."""
    path = check_path(field, path)
    query = sa.select(artifacts).where(artifacts.c.owner == owner, artifacts.c.path == path)
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound("artifact", path)
    return message(row)


def get_many(tx: Transaction, owner: str, paths: Sequence[str]) -> dict[str, Artifact]:
    """Those files of a tree that are there, by path."""
    found: dict[str, Artifact] = {}
    for some in blob.in_batches(set(paths)):
        query = sa.select(artifacts).where(artifacts.c.owner == owner, artifacts.c.path.in_(some))
        found |= {row.path: message(row) for row in tx.execute(query)}
    return found


def delete(tx: Transaction, owner: str, paths: Sequence[str]) -> int:
    """Remove files, and what is under directories; returns how many files went.

    A path that is not there removes nothing. The bytes stay until they are collected.
    """
    if len(paths) > MAX_DELETE_PATHS:
        raise FieldInvalid("paths", f"at most {MAX_DELETE_PATHS} in a call; name their directory")
    gone = 0
    for index, path in enumerate(paths):
        path = check_path(f"paths[{index}]", path)
        under = sa.or_(artifacts.c.path == path, artifact_entry.inside(tx, path))
        gone += tx.execute(sa.delete(artifacts).where(artifacts.c.owner == owner, under)).rowcount
    return gone


def workspace_of_owner(tx: Transaction, owner: str) -> str:
    """The workspace whose blobs a tree points at. Raises ``NotFound`` for a run."""
    kind, _, rest = owner.partition("/")
    if kind == "version":
        return rest.rsplit("/", 2)[0]  # a workspace may hold a "/", the others never do
    query = (
        sa.select(experiments.c.workspace)
        .join(runs, runs.c.experiment_id == experiments.c.experiment_id)
        .where(runs.c.run_id == rest)
    )
    workspace = tx.execute(query).scalar_one_or_none()
    if workspace is None:
        raise NotFound("run", rest)
    return str(workspace)


def message(row: sa.Row[Any]) -> Artifact:
    """A row of ``artifacts`` as its message."""
    made = Artifact(path=row.path, media_type=row.media_type, modify_time=to_proto(row.modify_time))
    if row.uri:
        made.uri = row.uri
    else:
        made.blob.CopyFrom(Blob(digest=row.digest, size_bytes=row.size_bytes))
    return made


def _find_run(tx: Transaction, query: sa.Select[Any], run_id: str) -> sa.Row[Any]:
    row = tx.execute(query.where(runs.c.run_id == run_id)).one_or_none()
    if row is None:
        raise NotFound("run", run_id)
    return row


def _under(tx: Transaction, owner: str, prefix: str) -> Iterator[Entry]:
    """What lies under ``prefix``, in order, with paths relative to it."""
    columns = (artifacts.c[name] for name in Entry._fields)
    query = sa.select(*columns).where(artifacts.c.owner == owner)
    if prefix:
        query = query.where(sa.or_(artifacts.c.path == prefix, artifact_entry.inside(tx, prefix)))
    # Of a single file, its name.
    name, start = prefix.rsplit("/", 1)[-1], len(prefix) + 1 if prefix else 0
    for row in tx.execute(query.order_by(artifact_entry.ordered_path(tx))):
        entry = Entry._make(row)
        yield entry._replace(path=entry.path[start:] or name) if prefix else entry


def _digest_of(entries: Iterable[Entry]) -> Tree:
    """Of entries in the order of their paths: they may be more than fit in memory."""
    digest, files, size_bytes = hashlib.sha256(), 0, 0
    for entry in entries:
        content = f"uri:{entry.uri}" if entry.uri else entry.digest
        digest.update(f"{entry.path}\0{content}\n".encode())
        files, size_bytes = files + 1, size_bytes + entry.size_bytes
    return Tree(f"sha256:{digest.hexdigest()}", files, size_bytes)


def _write(tx: Transaction, owner: str, workspace: str, entries: Iterable[Entry]) -> None:
    ordered = iter(sorted(entries, key=lambda entry: entry.path))
    while some := list(islice(ordered, ROWS_AT_ONCE)):
        rows = [(owner, workspace, *entry) for entry in some]
        tx.execute_many(_upsert(tx.insert), ("owner", "workspace", *Entry._fields), rows)


@functools.cache
def _upsert(insert: Callable[[sa.Table], Insert]) -> Insert:
    statement = insert(artifacts)
    changed = {
        name: statement.excluded[name]
        for name in ("digest", "size_bytes", "uri", "media_type", "modify_time")
    }
    keys = [artifacts.c.owner, artifacts.c.path]
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)
