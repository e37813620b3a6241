"""Metrics of a run. RUN is a run's id, the first digits of it (four or more), or 'last'."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from itertools import islice
from typing import Any

from runwire._command.failure import NOT_FOUND, CommandError
from runwire._command.find import connected, run_id_of, take
from runwire._command.options import Verbs, count
from runwire._command.output import Table
from runwire._command.resource import document

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 40


def add_to(parser: argparse.ArgumentParser) -> None:
    verbs = Verbs(parser)
    listing = verbs.add(
        "ls", ls, "list the metrics of a run", "runwire metrics ls last --prefix val/"
    )
    listing.add_argument("run", metavar="RUN")
    listing.add_argument("--prefix", default="", help="only keys that begin so")
    listing.add_argument("-n", "--limit", type=count, default=0, metavar="N", help="at most N")

    shown = verbs.add(
        "show",
        show,
        "draw metrics of a run in a line each",
        "runwire metrics show last loss accuracy",
    )
    shown.add_argument("run", metavar="RUN")
    shown.add_argument("key", nargs="*", metavar="KEY", help="(default: the first 50)")

    got = verbs.add(
        "get",
        get,
        "print every point: key, step, time in microseconds, value",
        "runwire metrics get last loss > loss.tsv",
    )
    got.add_argument("run", metavar="RUN")
    got.add_argument("key", nargs="+", metavar="KEY")


def ls(args: argparse.Namespace) -> Table:
    with connected(args) as client:
        found = client.metrics.list(run_id_of(client, args.run), key_prefix=args.prefix)
        series, more = take(found, args.limit)
    columns = (
        "key",
        "points",
        "first step",
        "last step",
        "last",
        "min",
        "max",
        "mean",
        "not finite",
    )
    return Table(columns, [_row(one) for one in series], [document(one) for one in series],
                 empty="no metrics", more=more)  # fmt: skip


def show(args: argparse.Namespace) -> Table:
    with connected(args) as client:
        run_id = run_id_of(client, args.run)
        listed = client.metrics.list(run_id)
        wanted = set(args.key)
        series = [one for one in listed if one.key in wanted] if wanted else [*islice(listed, 50)]
        points = client.metrics.read(run_id, [one.key for one in series]) if series else {}
    if missing := wanted - {one.key for one in series}:
        hint = f"'runwire metrics ls {args.run}' shows what there is"
        raise CommandError(f"the run has no metric {min(missing)!r}", hint, NOT_FOUND)
    lines = {key: sparkline(found.values) for (_, key), found in points.items()}
    rows = [
        (one.key, lines[one.key], one.points, one.last, one.min, one.max, one.mean)
        for one in series
    ]
    documents = [{**document(one), "sparkline": lines[one.key]} for one in series]
    columns = ("key", "", "points", "last", "min", "max", "mean")
    return Table(columns, rows, documents, empty="no such metrics")


def get(args: argparse.Namespace) -> Table:
    with connected(args) as client:
        found = [*client.metrics.read(run_id_of(client, args.run), args.key).values()]
    rows = [
        (one.key, int(step), int(time), float(value))
        for one in found
        for step, time, value in zip(one.steps, one.times_micros, one.values, strict=True)
    ]
    documents = [
        {
            "key": one.key,
            "steps": [int(step) for step in one.steps],
            "times_micros": [int(time) for time in one.times_micros],
            "values": [float(value) for value in one.values],
        }
        for one in found
    ]
    return Table(("key", "step", "time", "value"), rows, documents, empty="no points")


def sparkline(values: Sequence[float], width: int = WIDTH) -> str:
    """The course of a series in at most ``width`` characters.

    Each is the mean of its share, of a hundred points of it where it has more; a share
    with no finite value is a blank.
    """
    shares = min(width, len(values))
    means = []
    for number in range(shares):
        share = values[number * len(values) // shares : (number + 1) * len(values) // shares]
        share = share[:: max(1, len(share) // 100)]
        finite = [float(value) for value in share if math.isfinite(value)]
        means.append(sum(finite) / len(finite) if finite else math.nan)
    drawn = [mean for mean in means if math.isfinite(mean)]
    if not drawn:
        return " " * shares
    low, span = min(drawn), max(drawn) - min(drawn)
    return "".join(_bar(mean, low, span) for mean in means)


def _bar(value: float, low: float, span: float) -> str:
    if not math.isfinite(value):
        return " "
    if not span or not math.isfinite(span):
        return BARS[len(BARS) // 2]
    return BARS[min(len(BARS) - 1, int((value - low) / span * len(BARS)))]


def _row(one: Any) -> tuple[object, ...]:
    steps = (one.first_step, one.last_step)
    return (one.key, one.points, *steps, one.last, one.min, one.max, one.mean, one.non_finite)
