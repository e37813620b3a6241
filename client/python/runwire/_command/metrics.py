"""Metrics of a run. RUN is a run's id, the first digits of it (four or more), or 'last'."""

from __future__ import annotations

import argparse
import math
from itertools import islice
from typing import TYPE_CHECKING, Any

from runwire._command import metric_compact, metric_tail
from runwire._command.failure import NOT_FOUND, CommandError
from runwire._command.find import connected, run_id_of, take
from runwire._command.metric_export import WRITERS, export
from runwire._command.metric_range import add_range, range_of
from runwire._command.options import Verbs, count
from runwire._command.output import Table
from runwire._command.resource import document
from runwire._command.sparkline import draw

if TYPE_CHECKING:
    from runwire._series import Buckets

WIDTH = 40
SHOWN = 50


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
        """
        runwire metrics show last loss accuracy
        runwire metrics show last loss --start 1000 --end 2000
        """,
    )
    shown.add_argument("run", metavar="RUN")
    shown.add_argument("key", nargs="*", metavar="KEY", help="(default: the first 50)")
    add_range(shown)

    got = verbs.add(
        "get",
        get,
        "print points: key, step, time in microseconds, value",
        """
        runwire metrics get last loss > loss.tsv
        runwire metrics get last loss --max-points 500
        """,
    )
    got.add_argument("run", metavar="RUN")
    got.add_argument("key", nargs="+", metavar="KEY")
    add_range(got)
    got.add_argument(
        "--max-points",
        type=count,
        default=0,
        metavar="N",
        help="at most N (4 or more) of each, which draw the same picture (default: every point)",
    )

    exported = verbs.add(
        "export",
        export,
        "write every point of some metrics to a file",
        """
        runwire metrics export last --output metrics.parquet
        runwire metrics export RUN RUN --key loss --prefix val/ --format csv --output -
        """,
    )
    exported.add_argument("run", nargs="+", metavar="RUN")
    exported.add_argument("--key", action="append", default=[], help="(default: every metric)")
    exported.add_argument(
        "--prefix", action="append", default=[], help="also all keys that begin so"
    )
    exported.add_argument("--format", choices=WRITERS, help="(default: by the name of the file)")
    exported.add_argument("-o", "--output", required=True, metavar="FILE", help="- for stdout")
    add_range(exported)
    metric_tail.add_to(verbs)
    metric_compact.add_to(verbs)


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
        listed, wanted = client.metrics.list(run_id), set(args.key)
        keys = [
            one.key
            for one in (listed if wanted else islice(listed, SHOWN))
            if one.key in wanted or not wanted
        ]
        if missing := wanted - set(keys):
            hint = f"'runwire metrics ls {args.run}' shows what there is"
            raise CommandError(f"the run has no metric {min(missing)!r}", hint, NOT_FOUND)
        options = {**range_of(args), "reduce": "BUCKETS", "max_points": WIDTH}
        found = client.metrics.read(run_id, keys, **options) if keys else {}
    first = min((int(one.starts[0]) for one in found.values() if len(one)), default=0)
    documents = [_summary(one, first) for one in found.values()]
    columns = ("key", "", "points", "last", "min", "max", "mean")
    rows = [tuple(one.values()) for one in documents]
    return Table(columns, rows, documents, empty="no such metrics")


def get(args: argparse.Namespace) -> Table:
    options = {**range_of(args), "max_points": args.max_points}
    options["reduce"] = "SHAPE" if args.max_points else "NONE"
    with connected(args) as client:
        found = [*client.metrics.read(run_id_of(client, args.run), args.key, **options).values()]
    rows = [
        (one.key, *row)
        for one in found
        for row in zip(*(column.tolist() for column in one.columns().values()), strict=True)
    ]
    documents = [
        {
            "key": one.key,
            "steps": one.steps.tolist(),
            "times_micros": one.times_micros.tolist(),
            "values": one.values.tolist(),
        }
        for one in found
    ]
    return Table(("key", "step", "time", "value"), rows, documents, empty="no points")


def _summary(one: Buckets, first: int) -> dict[str, object]:
    """What is shown of a series whose picture begins at ``first``."""
    finite = [count - bad for count, bad in zip(one.counts, one.non_finite, strict=True)]
    total, number = sum(one.sum.tolist()), int(sum(finite))
    return {
        "key": one.key,
        "sparkline": sparkline(one, first),
        "points": int(sum(one.counts)),
        "last": float(one.last[-1]) if len(one) else math.nan,
        "min": min((float(low) for low in one.min if low == low), default=math.nan),
        "max": max((float(high) for high in one.max if high == high), default=math.nan),
        "mean": total / number if number else math.nan,
    }


def sparkline(one: Buckets, first: int) -> str:
    """The course of a series from ``first`` on: the mean of each bucket as a bar, a blank
    where it has no finite value."""
    means = [math.nan] * WIDTH
    for start, end, total, points, bad in zip(
        one.starts, one.ends, one.sum, one.counts, one.non_finite, strict=True
    ):
        # Edges are cut to int64, which makes the last bucket narrower.
        place = (int(start) - first) // max(1, int(end) - int(start))
        means[min(place, WIDTH - 1)] = (
            float(total) / (int(points) - int(bad)) if points > bad else math.nan
        )
    return draw(means)


def _row(one: Any) -> tuple[object, ...]:
    steps = (one.first_step, one.last_step)
    return (one.key, one.points, *steps, one.last, one.min, one.max, one.mean, one.non_finite)
