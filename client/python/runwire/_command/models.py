"""Registered models. A version is written MODEL/7, and also MODEL@ALIAS, MODEL/latest and
MODEL/STAGE where something is read."""

from __future__ import annotations

import argparse

from runwire._command import model_change, model_history, model_publish, model_table, model_watch
from runwire._command.find import connected, resolved, take
from runwire._command.options import Verbs, add_listing, moment
from runwire._command.output import Record, Table


def add_to(parser: argparse.ArgumentParser) -> None:
    verbs = Verbs(parser)
    _add_reading(verbs)
    model_watch.add_to(verbs)
    model_history.add_to(verbs)
    model_publish.add_to(verbs)
    model_change.add_to(verbs)


def _add_reading(verbs: Verbs) -> None:
    examples = "runwire models ls --filter \"tags.team = 'nlp' AND stage = 'production'\""
    listing = verbs.add("ls", ls, "list models", examples)
    add_listing(listing, "models")
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
    for one in (listing, search, versions_):
        one.add_argument("--deleted", action="store_true", help="those in the trash too")
    resolve_ = verbs.add(
        "resolve",
        resolve,
        "say which versions references mean, or meant at a time",
        "runwire models resolve fraud@champion churn/production\n"
        "runwire models resolve fraud@champion --at 2026-05-03",
    )
    resolve_.add_argument("reference", nargs="+", metavar="REFERENCE")
    resolve_.add_argument(
        "--at", type=moment, metavar="TIME", help="in ISO 8601; a date is its first moment"
    )


def ls(args: argparse.Namespace) -> Table:
    with connected(args) as client:
        found = client.models.search(args.filter, order_by=args.order_by, show_deleted=args.deleted)
        models, more = take(found, args.limit)
    return model_table.listing(models, more=more, deleted=args.deleted)


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
            " AND ".join(one for one in (of_model, wanted) if one),
            order_by=args.order_by,
            show_deleted=args.deleted,
        )
        listed, more = take(found, args.limit)
    return model_table.version_table(listed, more=more, deleted=args.deleted)


def resolve(args: argparse.Namespace) -> Table:
    with connected(args) as client:
        found = [resolved(client, one, at=args.at) for one in args.reference]
    return model_table.version_table(found)


def quoted(text: str) -> str:
    """A string of the filter grammar."""
    return "'" + text.replace("'", "''") + "'"
