"""Artifacts: files of a run or of a model version. OWNER is a run (its id, the first digits
of it, or 'last') or a version (models:/NAME/7, models:/NAME@ALIAS)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runwire._command.failure import CommandError
from runwire._command.find import connected, resolved, run_id_of, take
from runwire._command.options import Verbs, add_yes, count
from runwire._command.output import Done, Size, Table, confirm, progress, size_text
from runwire._command.resource import document, time_of

if TYPE_CHECKING:
    from runwire import Client


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
