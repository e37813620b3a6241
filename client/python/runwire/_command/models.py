"""Registered models. A version is written MODEL/7, and also MODEL@ALIAS, MODEL/latest and
MODEL/STAGE where something is read."""

from __future__ import annotations

import argparse
from typing import Any

from runwire._command import model_table, model_watch
from runwire._command.failure import USAGE, CommandError
from runwire._command.find import connected, resolved, run_id_of, take, version_of
from runwire._command.options import Verbs, add_listing, add_tags, add_yes, count
from runwire._command.output import Done, Record, Table, confirm
from runwire._command.resource import document, time_of


def add_to(parser: argparse.ArgumentParser) -> None:
    verbs = Verbs(parser)
    _add_reading(verbs)
    model_watch.add_to(verbs)
    _add_publishing(verbs)
    _add_changes(verbs)


def _add_reading(verbs: Verbs) -> None:
    examples = "runwire models ls --filter \"tags.team = 'nlp'\""
    add_listing(verbs.add("ls", ls, "list models", examples), "models")
    search = verbs.add("search", ls, "list the models that a filter matches")
    search.add_argument("filter", metavar="FILTER")
    add_listing(search, "models", filter=False)
    shown = verbs.add(
        "show",
        show,
        "show a model, or one version of it",
        "runwire models show fraud\nrunwire models show fraud@champion",
    )
    shown.add_argument("model", metavar="MODEL[/VERSION]")
    versions_ = verbs.add(
        "versions",
        versions,
        "list the versions of a model, or of all",
        "runwire models versions fraud --filter \"stage = 'production'\"",
    )
    versions_.add_argument("model", nargs="?", default="", metavar="MODEL")
    add_listing(versions_, "versions")
    resolve_ = verbs.add(
        "resolve",
        resolve,
        "say which versions references mean now",
        "runwire models resolve fraud@champion churn/production",
    )
    resolve_.add_argument("reference", nargs="+", metavar="REFERENCE")
    events_ = verbs.add(
        "events",
        events,
        "say what moved and when, the newest first",
        "runwire models events fraud --alias champion",
    )
    events_.add_argument("model", nargs="?", default="", metavar="MODEL")
    events_.add_argument("--alias", default="", help="only its moves")
    events_.add_argument("-n", "--limit", type=count, default=50, metavar="N")


def _add_publishing(verbs: Verbs) -> None:
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
        "publish a version from a run's artifacts; the model is made where it is missing",
        "runwire models register fraud last model --alias candidate\n"
        "runwire models register fraud --uri s3://elsewhere/fraud.onnx",
    )
    registered.add_argument("model")
    registered.add_argument("run", nargs="?", metavar="RUN")
    registered.add_argument("path", nargs="?", default="", metavar="PATH", help="of its artifacts")
    registered.add_argument("--uri", default="", help="bytes kept elsewhere, only noted")
    registered.add_argument("--alias", action="append", default=[], help="move it to this version")
    registered.add_argument("--description", default="")
    add_tags(registered)


def _add_changes(verbs: Verbs) -> None:
    aliased = verbs.add(
        "alias",
        alias,
        "point an alias at a version",
        "runwire models alias fraud champion 7 --expect 6 --comment 'beats it by 3 %'",
    )
    for name in ("model", "alias"):
        aliased.add_argument(name)
    aliased.add_argument("version", type=int)
    aliased.add_argument(
        "--expect", type=int, metavar="VERSION", help="only where it points there now; 0: unset"
    )
    aliased.add_argument("--comment", default="")
    unaliased = verbs.add("unalias", unalias, "remove an alias")
    for name in ("model", "alias"):
        unaliased.add_argument(name)
    unaliased.add_argument("--expect", type=int, metavar="VERSION")
    staged = verbs.add(
        "stage",
        stage,
        "bring a version to a stage",
        "runwire models stage fraud/7 production --archive-others",
    )
    staged.add_argument("version", metavar="MODEL/VERSION")
    staged.add_argument("stage")
    staged.add_argument("--expect", default="", metavar="STAGE", help="only from this stage")
    staged.add_argument("--archive-others", action="store_true")
    staged.add_argument("--comment", default="")
    renamed = verbs.add("rename", rename, "rename a model", "runwire models rename fraud fraud-v1")
    for name in ("model", "name"):
        renamed.add_argument(name)
    described = verbs.add("describe", describe, "write the description of a model or version")
    described.add_argument("model", metavar="MODEL[/VERSION]")
    described.add_argument("description")
    tagged = verbs.add("tag", tag, "set or remove tags", "runwire models tag fraud/7 checked=yes")
    tagged.add_argument("model", metavar="MODEL[/VERSION]")
    add_tags(tagged, change=True)
    deleted = verbs.add("delete", delete, "delete a model with all its versions, or one version")
    deleted.add_argument("model", metavar="MODEL[/VERSION]")
    add_yes(deleted)


def ls(args: argparse.Namespace) -> Table:
    with connected(args) as client:
        found = client.models.search(args.filter, order_by=args.order_by)
        models, more = take(found, args.limit)
    rows = [
        (one.name, one.latest_version, model_table.aliases(one), time_of(one.update_time))
        for one in models
    ]
    columns = ("model", "latest", "aliases", "changed")
    return Table(columns, rows, [document(one) for one in models], empty="no models", more=more)


def show(args: argparse.Namespace) -> Record:
    with connected(args) as client:
        if "/" in args.model or "@" in args.model:
            return model_table.version_record(resolved(client, args.model))
        model = client.models.get(args.model)
    return model_table.record(model)


def versions(args: argparse.Namespace) -> Table:
    of_model = f"model = {quoted(args.model)}" if args.model else ""
    wanted = f"({args.filter})" if args.filter else ""
    with connected(args) as client:
        if args.model:
            client.models.get(args.model)  # an unknown model is an error, not an empty list
        found = client.models.search_versions(
            " AND ".join(one for one in (of_model, wanted) if one), order_by=args.order_by
        )
        listed, more = take(found, args.limit)
    return model_table.version_table(listed, more)


def resolve(args: argparse.Namespace) -> Table:
    with connected(args) as client:
        return model_table.version_table([resolved(client, one) for one in args.reference])


def events(args: argparse.Namespace) -> Table:
    with connected(args) as client:
        found = client.models.list_events(args.model, alias=args.alias)
        listed, more = take(found, args.limit)
    rows = [
        (time_of(one.time), one.model, model_table.happened(one), one.actor, one.comment)
        for one in listed
    ]
    columns = ("time", "model", "what", "who", "comment")
    return Table(
        columns, rows, [document(one) for one in listed], empty="nothing happened", more=more
    )


def create_(args: argparse.Namespace) -> Done:
    stages = [one.strip() for one in args.stages.split(",") if one.strip()]
    with connected(args, writes=True) as client:
        made = client.models.create(
            args.model, description=args.description, tags=dict(args.tags), stages=stages
        )
    return Done(f"model {made.name!r} is there", made.name, document(made))


def register(args: argparse.Namespace) -> Done:
    if bool(args.run) == bool(args.uri):
        raise CommandError("give RUN and PATH, or --uri", code=USAGE)
    with connected(args, writes=True) as client:
        made = client.models.create_version(
            args.model,
            source_run_id=run_id_of(client, args.run) if args.run else "",
            source_path=args.path,
            source_uri=args.uri,
            description=args.description,
            tags=dict(args.tags),
            aliases=args.alias,
            create_model=True,
        )
    return _version_done(made, "published")


def alias(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        moved = client.models.set_alias(
            args.model,
            args.alias,
            args.version,
            expected_version=args.expect,
            comment=args.comment,
        )
    before = f" (was {moved.previous_version})" if moved.previous_version else ""
    text = f"{args.model}@{args.alias} is version {args.version}{before}"
    return Done(text, str(args.version), document(moved))


def unalias(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        client.models.delete_alias(args.model, args.alias, expected_version=args.expect)
    return Done(f"{args.model}@{args.alias} is gone")


def stage(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        moved = client.models.transition_version(
            *version_of(args.version),
            args.stage,
            expected_stage=args.expect,
            archive_others=args.archive_others,
            comment=args.comment,
        )
    return Done(f"{moved.model}/{moved.version} is {moved.stage}", moved.stage, document(moved))


def rename(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        model = client.models.update(args.model, new_name=args.name)
    return Done(f"renamed to {model.name!r}", model.name, document(model))


def describe(args: argparse.Namespace) -> Done:
    return _update(args, description=args.description)


def tag(args: argparse.Namespace) -> Done:
    return _update(args, tags=dict(args.tags), removed_tags=args.remove)


def delete(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        if "/" in args.model:
            confirm(f"Delete version {args.model} and its aliases?", args)
            client.models.delete_version(*version_of(args.model))
        else:
            model = client.models.get(args.model)
            confirm(f"Delete model {model.name!r} and all its versions?", args)
            client.models.delete(model.name)
    return Done(f"deleted {args.model}")


def _update(args: argparse.Namespace, **changes: Any) -> Done:
    with connected(args) as client:
        if "/" in args.model:
            version = client.models.update_version(*version_of(args.model), **changes)
            return _version_done(version, "changed")
        model = client.models.update(args.model, **changes)
    return Done(f"changed {model.name!r}", model.name, document(model))


def quoted(text: str) -> str:
    """A string of the filter grammar."""
    return "'" + text.replace("'", "''") + "'"


def _version_done(version: Any, done: str) -> Done:
    return Done(f"{done} {version.model}/{version.version}", str(version.version),
                document(version))  # fmt: skip
