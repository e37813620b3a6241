"""Runs. RUN is a run's id, the first digits of it (four or more), or 'last'."""

from __future__ import annotations

import argparse
from typing import Any

from runwire._command import run_table
from runwire._command.find import connected, experiment_of, run_id_of, take
from runwire._command.options import Verbs, add_listing, add_tags, add_yes
from runwire._command.output import Done, Record, Table, confirm
from runwire._command.resource import document

STATES = ("FINISHED", "FAILED", "KILLED")

EXAMPLES = """
    runwire runs ls -e digits --order-by "metrics.loss ASC"
    runwire runs ls --filter "params.lr = 0.001 AND tags.team LIKE 'nlp%'" --columns params.lr,metrics.loss
    runwire runs search "min(metrics.loss) < 0.1" --json
    """  # noqa: E501


def add_to(parser: argparse.ArgumentParser) -> None:
    verbs = Verbs(parser)
    listing = verbs.add("ls", ls, "list runs, the newest first", EXAMPLES)
    add_listing(listing, "runs")
    _add_scope(listing)
    search = verbs.add("search", ls, "list the runs that a filter matches", EXAMPLES)
    search.add_argument("filter", metavar="FILTER")
    add_listing(search, "runs", filter=False)
    _add_scope(search)

    _one(verbs.add("show", show, "show all of one run", "runwire runs show last"))
    compare_parser = verbs.add(
        "compare",
        compare,
        "show params and metrics of runs side by side; what differs is marked",
        "runwire runs compare 1f3a 99c0 last --differences",
    )
    compare_parser.add_argument("run", nargs="+", metavar="RUN")
    compare_parser.add_argument(
        "-d", "--differences", action="store_true", help="only what is not the same in all"
    )
    _add_changes(verbs)
    _add_states(verbs)


def _add_scope(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-e",
        "--experiment",
        action="append",
        default=[],
        metavar="EXPERIMENT",
        help="id or name; may be repeated (default: all)",
    )
    parser.add_argument(
        "-c",
        "--columns",
        action="append",
        default=[],
        metavar="COLUMN,…",
        help="further columns: params.KEY, metrics.KEY, min(metrics.KEY), tags.KEY, user, …",
    )
    parser.add_argument("--deleted", action="store_true", help="those in the trash too")


def _one(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("run", metavar="RUN", help="id, its first digits, or 'last'")
    return parser


def _add_changes(verbs: Verbs) -> None:
    create = verbs.add(
        "create", create_, "make a run and print its id", "runwire runs create -e digits --name try"
    )
    create.add_argument("-e", "--experiment", default="0", metavar="EXPERIMENT")
    create.add_argument("--name", default="")
    create.add_argument("--description", default="")
    add_tags(create)
    renamed = _one(verbs.add("rename", rename, "rename a run", "runwire runs rename last better"))
    renamed.add_argument("name")
    described = _one(verbs.add("describe", describe, "write a run's description"))
    described.add_argument("description")
    tagged = _one(
        verbs.add("tag", tag, "set or remove tags", "runwire runs tag last good=yes --remove todo")
    )
    add_tags(tagged, change=True)


def _add_states(verbs: Verbs) -> None:
    finished = _one(
        verbs.add("finish", finish, "end a run", "runwire runs finish last --state FAILED")
    )
    finished.add_argument("--state", type=str.upper, choices=STATES, default="FINISHED")
    _one(verbs.add("resume", resume, "open an ended run again"))
    stopped = _one(
        verbs.add("stop", stop, "ask a training job to stop", "runwire runs stop last --reason NaN")
    )
    stopped.add_argument("--reason", default="")
    deleted = verbs.add("delete", delete, "put runs in the trash", "runwire runs delete 1f3a 99c0")
    deleted.add_argument("run", nargs="+", metavar="RUN")
    add_yes(deleted)
    restored = verbs.add("restore", restore, "take runs out of the trash")
    restored.add_argument("run", nargs="+", metavar="RUN")


def ls(args: argparse.Namespace) -> Table:
    columns = [name for text in args.columns for name in run_table.split_columns(text)]
    with connected(args) as client:
        found = client.runs.search(
            [experiment_of(client, one).experiment_id for one in args.experiment],
            filter=args.filter,
            order_by=args.order_by,
            columns=[name for name in columns if not run_table.is_attribute(name)],
            show_deleted=args.deleted,
        )
        runs, more = take(found, args.limit)
    return run_table.listing(runs, columns, more=more)


def show(args: argparse.Namespace) -> Record:
    with connected(args) as client:
        run_id = run_id_of(client, args.run, deleted=True)
        return run_table.record(client.runs.get(run_id))


def compare(args: argparse.Namespace) -> Table:
    with connected(args) as client:
        runs = [client.runs.get(run_id_of(client, one)) for one in args.run]
    return run_table.comparison(runs, only_differences=args.differences)


def create_(args: argparse.Namespace) -> Done:
    with connected(args, writes=True) as client:
        experiment = experiment_of(client, args.experiment)
        run = client.runs.create(
            experiment_id=experiment.experiment_id,
            name=args.name,
            description=args.description,
            tags=dict(args.tags),
        )
    return Done(f"run {run.run_id} is running", run.run_id, document(run))


def rename(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        run = client.runs.update(run_id_of(client, args.run), name=args.name)
    return Done(f"renamed to {run.name!r}", run.run_id, document(run))


def describe(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        run = client.runs.update(run_id_of(client, args.run), description=args.description)
    return Done("described", run.run_id, document(run))


def tag(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        run = client.runs.update(
            run_id_of(client, args.run), tags=dict(args.tags), removed_tags=args.remove
        )
    return Done("tags: " + ", ".join(f"{key}={run.tags[key]}" for key in sorted(run.tags)),
                run.run_id, document(run))  # fmt: skip


def finish(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        return _state(client.runs.finish(run_id_of(client, args.run), args.state))


def resume(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        return _state(client.runs.resume(run_id_of(client, args.run)))


def stop(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        run = client.runs.stop(run_id_of(client, args.run), reason=args.reason)
    return Done("asked to stop; the job learns it with its next data", run.run_id, document(run))


def delete(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        run_ids = [run_id_of(client, one) for one in args.run]
        confirm(f"Put {_count(run_ids)} in the trash?", args)
        deleted = [client.runs.delete(run_id) for run_id in run_ids]
    return _many(f"deleted {_count(run_ids)}; 'runwire runs restore ID' takes it out", deleted)


def restore(args: argparse.Namespace) -> Done:
    with connected(args) as client:
        run_ids = [run_id_of(client, one, deleted=True) for one in args.run]
        restored = [client.runs.restore(run_id) for run_id in run_ids]
    return _many(f"restored {_count(run_ids)}", restored)


def _state(run: Any) -> Done:
    state = document(run).get("state", "")
    return Done(f"run {run.run_id} is {state}", run.run_id, document(run))


def _many(text: str, runs: list[Any]) -> Done:
    return Done(text, "\n".join(run.run_id for run in runs), [document(run) for run in runs])


def _count(run_ids: list[str]) -> str:
    return f"run {run_ids[0]}" if len(run_ids) == 1 else f"{len(run_ids)} runs"
