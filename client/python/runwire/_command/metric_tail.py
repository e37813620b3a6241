"""``runwire metrics tail``: points as they arrive, a line each."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from runwire._command.find import connected, run_id_of
from runwire._command.options import Verbs
from runwire._command.output import Style, json_number, plain, pretty
from runwire._command.resource import time_at

if TYPE_CHECKING:
    from runwire._tail import TailEvent


def add_to(verbs: Verbs) -> None:
    parser = verbs.add(
        "tail",
        tail,
        "print points as they arrive, until the run ends: step, time, key, value",
        """
        runwire metrics tail last loss
        runwire metrics tail last --prefix val/ --from-beginning --json
        """,
    )
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("key", nargs="*", metavar="KEY", help="(default: every metric)")
    parser.add_argument("--prefix", action="append", default=[], help="keys that begin so")
    parser.add_argument("--from-beginning", action="store_true", help="what is there already first")


def tail(args: argparse.Namespace) -> int:
    style = Style.of(args)
    with connected(args) as client:
        run_id = run_id_of(client, args.run)
        options = {"key_prefixes": args.prefix, "from_beginning": args.from_beginning}
        with client.metrics.tail(run_id, args.key, **options) as events:
            try:
                for event in events:
                    _print(event, style)
                    if event.ended:
                        return 0
            except KeyboardInterrupt:  # the way to end it
                return 0
    return 0


def _print(event: TailEvent, style: Style) -> None:
    for key, step, time_micros, value in event.points():
        time = time_at(time_micros)
        if style.json:
            point = {"step": step, "time": plain(time), "key": key, "value": json_number(value)}
            print(json.dumps(point, ensure_ascii=False))
        elif style.rich:
            print(f"{step:>10}  {pretty(time)}  {pretty(key)}  {pretty(value)}")
        else:
            print("\t".join(map(plain, (step, time, key, value))))
    sys.stdout.flush()
    if event.ended and style.json:
        print(json.dumps({"run_id": event.run_id, "ended": event.ended}), flush=True)
    elif event.ended:
        print(f"run {event.run_id[:8]} has ended: {event.ended}", file=sys.stderr)
    elif event.lagged:
        print("runwire: some points are damaged and were left out", file=sys.stderr)
