"""Which part of a series a command is about: --axis, --start, --end."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

from runwire._command.failure import USAGE, CommandError

AXES = {"step": "STEP", "time": "TIME", "relative": "RELATIVE_TIME"}
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def add_range(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--axis",
        choices=AXES,
        default="step",
        help="what --start and --end are: steps (the default), times in ISO 8601, or seconds "
        "since the start of the run",
    )
    parser.add_argument("--start", metavar="PLACE", help="from here on")
    parser.add_argument("--end", metavar="PLACE", help="up to but not including this")


def range_of(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of ``client.metrics.read`` that say so."""
    return {
        "axis": AXES[args.axis],
        "start": _place(args, "start"),
        "end": _place(args, "end"),
    }


def _place(args: argparse.Namespace, name: str) -> int | None:
    text = getattr(args, name)
    if text is None:
        return None
    try:
        if args.axis == "step":
            return int(text)
        if args.axis == "relative":
            return round(float(text) * 1e6)
        return (datetime.fromisoformat(text).astimezone(UTC) - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        wanted = {"step": "a step", "relative": "a number of seconds", "time": "a time"}[args.axis]
        hint = "such as 2026-11-20T21:27:58Z" if args.axis == "time" else "with this --axis"
        raise CommandError(f"--{name} {text!r} is not {wanted}", hint, USAGE) from None
