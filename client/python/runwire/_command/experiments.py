"""Experiments: named collections of runs. EXPERIMENT is an id or a name."""

from __future__ import annotations

import argparse
from typing import Any

from runwire._command.find import connected, deleted_experiment_of, experiment_of, take
from runwire._command.options import Verbs, add_listing, add_tags, add_yes
from runwire._command.output import Done, Record, Table, confirm
from runwire._command.resource import document, time_of


def add_to(parser: argparse.ArgumentParser) -> None:
    verbs = Verbs(parser)
    examples = """
        runwire experiments ls
        runwire experiments ls --filter "tags.team = 'nlp'" --order-by "name DESC"
        """
    listing = verbs.add("ls", ls, "list experiments", examples)
    add_listing(listing, "experiments")
    listing.add_argument("--deleted", action="store_true", help="those in the trash too")

    search = verbs.add("search", ls, "list the experiments that a filter matches", examples)
    search.add_argument("filter", metavar="FILTER")
    add_listing(search, "experiments", filter=False)
    search.add_argument("--deleted", action="store_true", help="those in the trash too")

    _one(verbs.add("show", show, "show one experiment", "runwire experiments show digits"))

    create = verbs.add("create", create_, "make an experiment", "runwire experiments create digits")
    create.add_argument("name")
    create.add_argument("--description", default="")
    add_tags(create)

    renamed = verbs.add("rename", rename, "rename an experiment", "runwire experiments rename a b")
    _one(renamed)
    renamed.add_argument("name", help="its new name")

    tagged = verbs.add(
        "tag", tag, "set or remove tags", "runwire experiments tag digits team=vision --remove old"
    )
    _one(tagged)
    add_tags(tagged, change=True)

    deleted = verbs.add("delete", delete, "put an experiment and its runs in the trash")
    _one(deleted)
    add_yes(deleted)
    _one(verbs.add("restore", restore, "take an experiment out of the trash"))


def _one(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", metavar="EXPERIMENT", help="id or name")


def ls(args: argparse.Namespace) -> Table:
    with connected(args) as client:
        found = client.experiments.search(
            args.filter, order_by=args.order_by, show_deleted=args.deleted
        )
        experiments, more = take(found, args.limit)
    columns = ["id", "name", "created", "tags"]
    rows: list[list[object]] = [
        [one.experiment_id, one.name, time_of(one.create_time), _tags(one)] for one in experiments
    ]
    if args.deleted:
        columns.append("deleted")
        rows = [
            [*row, time_of(one.delete_time)] for row, one in zip(rows, experiments, strict=True)
        ]
    return Table(
        columns, rows, [document(one) for one in experiments], empty="no experiments", more=more
    )


def show(args: argparse.Namespace) -> Record:
    with connected(args) as client:
        experiment = experiment_of(client, args.experiment)
    return _record(experiment)


def create_(args: argparse.Namespace) -> Done:
    with connected(args, writes=True) as client:
        made = client.experiments.create(
            args.name, description=args.description, tags=dict(args.tags)
        )
    text = f"experiment {made.experiment_id} {made.name!r} is there"
    return Done(text, made.experiment_id, document(made))


def rename(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        experiment = experiment_of(client, args.experiment)
        changed = client.experiments.update(experiment.experiment_id, name=args.name)
    return Done(f"renamed to {changed.name!r}", changed.experiment_id, document(changed))


def tag(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        experiment = experiment_of(client, args.experiment)
        changed = client.experiments.update(
            experiment.experiment_id, tags=dict(args.tags), removed_tags=args.remove
        )
    return Done(f"tags: {_tags(changed)}", changed.experiment_id, document(changed))


def delete(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        experiment = experiment_of(client, args.experiment)
        confirm(f"Put experiment {experiment.name!r} and its runs in the trash?", args)
        deleted = client.experiments.delete(experiment.experiment_id)
    hint = f"'runwire experiments restore {experiment.experiment_id}' takes it out again"
    return Done(f"deleted {experiment.name!r}; {hint}", deleted.experiment_id, document(deleted))


def restore(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        experiment = deleted_experiment_of(client, args.experiment)
        restored = client.experiments.restore(experiment.experiment_id)
    return Done(f"restored {restored.name!r}", restored.experiment_id, document(restored))


def _record(experiment: Any) -> Record:
    fields: list[tuple[str, object]] = [
        ("id", experiment.experiment_id),
        ("name", experiment.name),
        ("workspace", experiment.workspace),
        ("description", experiment.description),
        ("created", time_of(experiment.create_time)),
        ("updated", time_of(experiment.update_time)),
        ("deleted", time_of(experiment.delete_time)),
    ]
    fields += [(f"tags.{key}", value) for key, value in sorted(experiment.tags.items())]
    return Record(fields, document(experiment))


def _tags(experiment: Any) -> list[str]:
    return [f"{key}={value}" for key, value in sorted(experiment.tags.items())]
