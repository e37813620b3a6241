"""Artifacts: files of a run or of a model version. OWNER is a run (its id, the first digits
of it, or 'last') or a version (models:/NAME/7, models:/NAME@ALIAS)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runwire._command.failure import CommandError
from runwire._command.find import connected, resolved, run_id_of, take
from runwire._command.options import Verbs, add_yes, count
from runwire._command.output import Done, Size, Table, confirm, progress, size_text
from runwire._command.resource import document, time_of

if TYPE_CHECKING:
    from runwire import Client
    from runwire.v1.artifact_pb2 import Blob


def add_to(parser: argparse.ArgumentParser) -> None:
    verbs = Verbs(parser)
    listing = verbs.add(
        "ls",
        ls,
        "list files and directories",
        "runwire artifacts ls last\nrunwire artifacts ls models:/fraud@champion -r",
    )
    _owner(listing)
    listing.add_argument("path", nargs="?", default="", metavar="PATH", help="a directory")
    listing.add_argument("-r", "--recursive", action="store_true", help="everything below it")
    listing.add_argument("-n", "--limit", type=count, default=0, metavar="N", help="at most N")

    got = verbs.add(
        "get",
        get,
        "fetch a file, a directory or (without PATH) everything",
        "runwire artifacts get last model/weights.bin\n"
        "runwire artifacts get models:/fraud@champion -o ./fraud",
    )
    _owner(got)
    got.add_argument("path", nargs="?", default="", metavar="PATH")
    got.add_argument("-o", "--output", type=Path, default=Path(), metavar="FOLDER")

    sent = verbs.add(
        "put",
        put,
        "send a file or a directory to a run",
        "runwire artifacts put last ./report.html\nrunwire artifacts put last ./model model",
    )
    sent.add_argument("owner", metavar="RUN")
    sent.add_argument("local", type=Path, metavar="LOCAL", help="a file or folder here")
    sent.add_argument("path", nargs="?", default="", metavar="PATH", help="its path in the run")

    checked = verbs.add(
        "verify",
        verify,
        "read files and check that they are what their digests say",
        "runwire artifacts verify last\nrunwire artifacts verify models:/fraud@champion",
    )
    _owner(checked)
    checked.add_argument("path", nargs="?", default="", metavar="PATH")

    used = verbs.add(
        "du",
        du,
        "sum up sizes: of each file and directory at PATH, and of all",
        "runwire artifacts du last\nrunwire artifacts du last model",
    )
    _owner(used)
    used.add_argument("path", nargs="?", default="", metavar="PATH")

    removed = verbs.add("rm", rm, "remove files and directories", "runwire artifacts rm last tmp")
    removed.add_argument("owner", metavar="RUN")
    removed.add_argument("path", nargs="+", metavar="PATH")
    add_yes(removed)


def _owner(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("owner", metavar="OWNER", help="a run, or models:/NAME/VERSION")


def ls(args: argparse.Namespace) -> Table:
    with connected(args) as client:
        owner = owner_of(client, args.owner)
        found = client.artifacts.list(**owner, prefix=args.path, recursive=args.recursive)
        listed, more = take(found, args.limit)
    rows = [_row(one) for one in listed]
    columns = ("path", "size", "modified", "content")
    return Table(columns, rows, [document(one) for one in listed], empty="no artifacts", more=more)


def get(args: argparse.Namespace) -> Done:
    with connected(args) as client, progress("fetching") as bar:
        owner = owner_of(client, args.owner)
        path = client.artifacts.get(
            **owner, artifact_path=args.path, dst_path=args.output, progress=bar
        )
    return Done(f"fetched to {path}", str(path), {"path": str(path)})


def put(args: argparse.Namespace) -> Done:
    if not args.local.exists():
        raise CommandError(f"there is no {args.local}")
    with connected(args) as client, progress("sending") as bar:
        run_id = run_id_of(client, args.owner)
        tree = client.artifacts.put(run_id, args.local, args.path, progress=bar)
    text = f"sent {args.local}; the run holds {tree.files} files, {size_text(tree.size_bytes)}"
    return Done(text, tree.tree_digest, document(tree))


def verify(args: argparse.Namespace) -> Table:
    with connected(args) as client, progress("verifying") as bar:
        owner = owner_of(client, args.owner)
        problems = client.artifacts.verify(**owner, artifact_path=args.path, progress=bar)
    rows = sorted(problems.items())
    documents = [{"path": path, "problem": problem} for path, problem in rows]
    everything = frozenset(range(len(rows)))
    columns = ("path", "problem")
    return Table(columns, rows, documents, everything, empty="all is well", code=int(bool(rows)))


def du(args: argparse.Namespace) -> Table:
    """``stored``: equal bytes count once."""
    prefix = args.path.removesuffix("/")
    with connected(args) as client:
        found = list(
            client.artifacts.list(**owner_of(client, args.owner), prefix=prefix, recursive=True)
        )
    parts: dict[str, list[Blob]] = {}
    for one in found:
        parts.setdefault(_part(one.path, prefix), []).append(one.blob)
    rows = [_used(part, blobs) for part, blobs in sorted(parts.items())]
    rows.append(_used(prefix or ".", [one.blob for one in found]))
    columns = ("path", "files", "size", "stored")
    documents = [dict(zip(columns, row, strict=True)) for row in rows]
    return Table(columns, rows, documents)


def _part(path: str, prefix: str) -> str:
    """The file or directory directly in ``prefix`` that a path lies in."""
    start = len(prefix) + 1 if prefix and path != prefix else 0
    first, slash, _ = path[start:].partition("/")
    return path[:start] + first + slash if path != prefix else path


def _used(path: str, blobs: Sequence[Blob]) -> tuple[str, int, Size, Size]:
    stored = {blob.digest: blob.size_bytes for blob in blobs}
    size = sum(blob.size_bytes for blob in blobs)
    return path, len(blobs), Size(size), Size(sum(stored.values()))


def rm(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        run_id = run_id_of(client, args.owner)
        confirm(f"Remove {', '.join(args.path)} from run {run_id}?", args)
        files = client.artifacts.delete(run_id, args.path)
    return Done(f"removed {files} files", str(files), {"files": files})


def owner_of(client: Client, text: str) -> dict[str, Any]:
    """The arguments that name the owner of a tree."""
    if text.startswith("models:/"):
        version = resolved(client, text)
        return {"model": version.model, "version": version.version}
    return {"run_id": run_id_of(client, text.removeprefix("runs:/"))}


def _row(one: Any) -> tuple[object, ...]:
    if not (one.HasField("blob") or one.uri):
        return (f"{one.path}/", None, None, "")
    size = Size(one.blob.size_bytes) if one.HasField("blob") else None
    return (one.path, size, time_of(one.modify_time), one.blob.digest or one.uri)
