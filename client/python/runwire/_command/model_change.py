"""Changes of models and versions, each with a reason for the history."""

from __future__ import annotations

import argparse
from typing import Any

from runwire._command.find import connected, version_of
from runwire._command.options import Verbs, add_tags, add_yes
from runwire._command.output import Done, confirm
from runwire._command.resource import document, time_of


def add_to(verbs: Verbs) -> None:
    _add_aliases(verbs)
    _add_notes(verbs)
    _add_trash(verbs)


def add_comment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--comment", default="", metavar="WHY", help="for the history")


def _add_aliases(verbs: Verbs) -> None:
    aliased = verbs.add(
        "alias",
        alias,
        "point an alias at a version",
        "runwire models alias fraud champion 7 --expect 6 --comment 'beats it by 3 %'",
    )
    unaliased = verbs.add("unalias", unalias, "remove an alias")
    back = verbs.add(
        "rollback",
        rollback,
        "take the last move of an alias back; again: the one before it",
        "runwire models rollback fraud champion --expect 7 --comment 'slow on Mondays'",
    )
    for parser in (aliased, unaliased, back):
        for name in ("model", "alias"):
            parser.add_argument(name)
    aliased.add_argument("version", type=int)
    for parser in (aliased, unaliased, back):
        parser.add_argument(
            "--expect", type=int, metavar="VERSION", help="only where it points there now; 0: unset"
        )
        add_comment(parser)
    staged = verbs.add(
        "stage",
        stage,
        "bring a version to a stage",
        "runwire models stage fraud/7 production --expect staging --archive-others",
    )
    staged.add_argument("version", metavar="MODEL/VERSION")
    staged.add_argument("stage")
    staged.add_argument("--expect", default="", metavar="STAGE", help="only from this stage")
    staged.add_argument(
        "--archive-others", action="store_true", help="what is in the stage now is archived"
    )
    add_comment(staged)


def _add_notes(verbs: Verbs) -> None:
    renamed = verbs.add("rename", rename, "rename a model", "runwire models rename fraud fraud-v1")
    for name in ("model", "name"):
        renamed.add_argument(name)
    described = verbs.add("describe", describe, "write the description of a model or version")
    described.add_argument("model", metavar="MODEL[/VERSION]")
    described.add_argument("description")
    tagged = verbs.add("tag", tag, "set or remove tags", "runwire models tag fraud/7 checked=yes")
    tagged.add_argument("model", metavar="MODEL[/VERSION]")
    add_tags(tagged, change=True)
    for parser in (renamed, described, tagged):
        add_comment(parser)


def _add_trash(verbs: Verbs) -> None:
    deleted = verbs.add(
        "delete", delete, "put a model with all its versions, or one version, in the trash"
    )
    deleted.add_argument("model", metavar="MODEL[/VERSION]")
    add_yes(deleted)
    restored = verbs.add(
        "restore",
        restore,
        "take a model or a version out of the trash",
        "runwire models restore fraud/7\nrunwire models restore fraud --as fraud-2025",
    )
    restored.add_argument("model", metavar="MODEL[/VERSION]")
    restored.add_argument(
        "--as", dest="name", default="", metavar="NAME", help="where its own was taken meanwhile"
    )
    for parser in (deleted, restored):
        add_comment(parser)


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
        client.models.delete_alias(
            args.model, args.alias, expected_version=args.expect, comment=args.comment
        )
    return Done(f"{args.model}@{args.alias} is gone")


def rollback(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        done = client.models.rollback_alias(
            args.model, args.alias, expected_version=args.expect, comment=args.comment
        )
    now = f"version {done.version} again" if done.version else "not set"
    by = f" by {done.undone.actor}" if done.undone.actor else ""
    when = f"{time_of(done.undone.time):%Y-%m-%d}"
    text = f"{args.model}@{args.alias} is {now}; took back the move of {when}{by}"
    return Done(text, str(done.version), document(done))


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
        model = client.models.update(args.model, new_name=args.name, comment=args.comment)
    return Done(f"renamed to {model.name!r}", model.name, document(model))


def describe(args: argparse.Namespace) -> Done:
    return _update(args, description=args.description)


def tag(args: argparse.Namespace) -> Done:
    return _update(args, tags=dict(args.tags), removed_tags=args.remove)


def delete(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        if "/" in args.model:
            confirm(f"Put version {args.model} in the trash? Its aliases end.", args)
            client.models.delete_version(*version_of(args.model), comment=args.comment)
        else:
            model = client.models.get(args.model)
            confirm(f"Put model {model.name!r} with all its versions in the trash?", args)
            client.models.delete(model.name, comment=args.comment)
    return Done(f"deleted {args.model}; 'runwire models restore {args.model}' takes it back")


def restore(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        if "/" in args.model:
            version = client.models.restore_version(*version_of(args.model), comment=args.comment)
            return version_done(version, "restored")
        model = client.models.restore(args.model, new_name=args.name, comment=args.comment)
    return Done(f"restored {model.name!r}", model.name, document(model))


def _update(args: argparse.Namespace, **changes: Any) -> Done:
    with connected(args) as client:
        if "/" in args.model:
            version = client.models.update_version(
                *version_of(args.model), comment=args.comment, **changes
            )
            return version_done(version, "changed")
        model = client.models.update(args.model, **changes)
    return Done(f"changed {model.name!r}", model.name, document(model))


def version_done(version: Any, done: str) -> Done:
    return Done(f"{done} {version.model}/{version.version}", str(version.version),
                document(version))  # fmt: skip
