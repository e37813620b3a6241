"""New models and versions."""

from __future__ import annotations

import argparse
from typing import Any

from runwire._command.failure import USAGE, CommandError
from runwire._command.find import connected, run_id_of, version_of
from runwire._command.model_change import add_comment, version_done
from runwire._command.options import Verbs, add_tags
from runwire._command.output import Done
from runwire._command.resource import document


def add_to(verbs: Verbs) -> None:
    create = verbs.add("create", create_, "make a model", "runwire models create fraud")
    create.add_argument("model")
    create.add_argument("--description", default="")
    create.add_argument(
        "--stages", default="", metavar="A,B,…", help="the first is where one starts"
    )
    add_tags(create)
    registered = verbs.add(
        "register",
        register,
        "publish a version from a run's artifacts, another version or a URI; the model is made "
        "where it is missing",
        "runwire models register fraud last model --alias candidate\n"
        "runwire models register fraud-prod --version fraud/7\n"
        "runwire models register fraud --uri s3://elsewhere/fraud.onnx",
    )
    registered.add_argument("model")
    registered.add_argument("run", nargs="?", metavar="RUN")
    registered.add_argument("path", nargs="?", default="", metavar="PATH", help="of its artifacts")
    registered.add_argument(
        "--version", default="", metavar="MODEL/VERSION", help="copy this one (no bytes are moved)"
    )
    registered.add_argument("--uri", default="", help="bytes kept elsewhere, only noted")
    registered.add_argument("--alias", action="append", default=[], help="move it to this version")
    registered.add_argument("--description", default="")
    add_comment(registered)
    add_tags(registered)


def create_(args: argparse.Namespace) -> Done:
    stages = [one.strip() for one in args.stages.split(",") if one.strip()]
    with connected(args, writes=True) as client:
        made = client.models.create(
            args.model, description=args.description, tags=dict(args.tags), stages=stages
        )
    return Done(f"model {made.name!r} is there", made.name, document(made))


def register(args: argparse.Namespace) -> Done:
    with connected(args, writes=True) as client:
        made = client.models.create_version(
            args.model,
            **_source(client, args),
            description=args.description,
            tags=dict(args.tags),
            aliases=args.alias,
            comment=args.comment,
            create_model=True,
        )
    return version_done(made, "published")


def _source(client: Any, args: argparse.Namespace) -> dict[str, Any]:
    if args.version and not (args.run or args.uri):
        return {"source_version": version_of(args.version)}
    if args.uri and not (args.run or args.version):
        return {"source_uri": args.uri}
    if args.run and not (args.uri or args.version):
        return {"source_run_id": run_id_of(client, args.run), "source_path": args.path}
    raise CommandError("give one of RUN and PATH, --version and --uri", code=USAGE)
