"""What happened to models, what came from what, and how versions differ."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from runwire._command import model_history_table
from runwire._command.failure import USAGE, CommandError
from runwire._command.find import connected, resolved, run_id_of, take
from runwire._command.options import Verbs, count, moment
from runwire._command.output import Table

if TYPE_CHECKING:
    from runwire import Client
    from runwire.v1.registry_service_pb2 import LineageNode


def add_to(verbs: Verbs) -> None:
    _add_history(verbs)
    compare_ = verbs.add(
        "compare",
        compare,
        "show two versions side by side: params, metrics, files; what differs is marked",
        "runwire models compare fraud@champion fraud/latest --differences",
    )
    for name in ("left", "right"):
        compare_.add_argument(name, metavar="REFERENCE")
    compare_.add_argument(
        "-d", "--differences", action="store_true", help="only what is not the same in both"
    )
    _add_lineage(verbs)


def _add_history(verbs: Verbs) -> None:
    past = verbs.add(
        "history",
        history,
        "say what happened, who did it and why, the newest first",
        "runwire models history fraud --alias champion\n"
        "runwire models history fraud/7\n"
        "runwire models history --kind STAGE_CHANGED --since 2026-05-01 --until 2026-06-01",
        aliases=("events",),
    )
    past.add_argument("model", nargs="?", default="", metavar="MODEL[/VERSION]")
    past.add_argument("--alias", default="", help="only its moves")
    past.add_argument(
        "--kind",
        type=str.upper,
        action="append",
        default=[],
        choices=model_history_table.EVENT_KINDS,
        metavar="KIND",
        help="only these, such as ALIAS_MOVED; may be repeated",
    )
    past.add_argument("--since", type=moment, metavar="TIME", help="in ISO 8601, or a date")
    past.add_argument("--until", type=moment, metavar="TIME")
    past.add_argument("-n", "--limit", type=count, default=50, metavar="N")


def _add_lineage(verbs: Verbs) -> None:
    traced = verbs.add(
        "lineage",
        lineage,
        "show what something was made from, and what was made from it",
        "runwire models lineage fraud/3\nrunwire models lineage --dataset 3f786850 --down",
    )
    traced.add_argument("reference", nargs="?", default="", metavar="REFERENCE")
    traced.add_argument("--run", default="", help="of a run")
    traced.add_argument("--dataset", default="", metavar="DIGEST", help="of a dataset")
    traced.add_argument("--uri", default="", help="of something kept elsewhere")
    way = traced.add_mutually_exclusive_group()
    way.add_argument("--up", action="store_true", help="only what it was made from")
    way.add_argument("--down", action="store_true", help="only what was made from it")
    traced.add_argument("--hops", type=count, default=0, metavar="N", help="steps at most")


def history(args: argparse.Namespace) -> Table:
    model, _, number = args.model.partition("/")
    if number and not number.isdecimal():
        raise CommandError(f"{args.model!r} is neither MODEL nor MODEL/NUMBER", code=USAGE)
    with connected(args) as client:
        found = client.models.list_events(
            model,
            version=int(number or 0),
            alias=args.alias,
            kinds=args.kind,
            since=args.since,
            until=args.until,
        )
        listed, more = take(found, args.limit)
    return model_history_table.history(listed, more=more)


def compare(args: argparse.Namespace) -> Table:
    with connected(args) as client:
        found = client.models.compare(args.left, args.right)
    return model_history_table.comparison(found, only_differences=args.differences)


def lineage(args: argparse.Namespace) -> Table:
    if sum(map(bool, (args.reference, args.run, args.dataset, args.uri))) != 1:
        raise CommandError("give one of REFERENCE, --run, --dataset and --uri", code=USAGE)
    with connected(args) as client:
        found = client.models.query_lineage(
            _root(client, args),
            direction="UPSTREAM" if args.up else "DOWNSTREAM" if args.down else "BOTH",
            max_hops=args.hops,
        )
    return model_history_table.lineage(found)


def _root(client: Client, args: argparse.Namespace) -> LineageNode:
    from runwire.v1.artifact_pb2 import ModelVersionKey
    from runwire.v1.registry_service_pb2 import LineageNode

    if args.run:
        return LineageNode(run_id=run_id_of(client, args.run, deleted=True))
    if args.dataset:
        return LineageNode(dataset_digest=args.dataset)
    if args.uri:
        return LineageNode(uri=args.uri)
    version = resolved(client, args.reference)
    key = ModelVersionKey(model=version.model, version=version.version, workspace=version.workspace)
    return LineageNode(model_version=key)
