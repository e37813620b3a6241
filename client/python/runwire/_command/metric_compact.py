"""``runwire metrics compact``: fold now what servers would fold some time later."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from runwire._command.find import connected, run_id_of
from runwire._command.options import Verbs
from runwire._command.output import Table, size_text
from runwire._command.resource import document

if TYPE_CHECKING:
    from runwire import Client
    from runwire.v1.metric_service_pb2 import MetricStorage

# Between two looks at a run that another server is folding.
_PAUSE_S = 2.0


def add_to(verbs: Verbs) -> None:
    parser = verbs.add(
        "compact",
        compact,
        "fold the metrics of runs into compressed blocks now",
        "runwire metrics compact last",
    )
    parser.add_argument("run", nargs="+", metavar="RUN")


def compact(args: argparse.Namespace) -> Table:
    rows, documents = [], []
    with connected(args) as client:
        for name in args.run:
            run_id = run_id_of(client, name)
            before = client.metrics.get_storage(run_id)
            after = _compact(client, run_id)
            sizes = [one.frame_bytes + one.block_bytes for one in (before, after)]
            rows.append((run_id, after.block_points, *map(size_text, sizes), per_point(after)))
            documents.append({"run_id": run_id, **document(after)})
    return Table(("run", "points", "before", "after", "bytes a point"), rows, documents)


def _compact(client: Client, run_id: str) -> MetricStorage:
    told = sys.stderr.isatty()
    while True:
        answer = client.metrics.compact(run_id)
        if told:
            left = answer.storage.unfolded_points
            print(f"\r{run_id}: {left} points to fold\033[K", end="", file=sys.stderr)
        if answer.done:
            if told:
                print("\r\033[K", end="", file=sys.stderr)
            return answer.storage
        if answer.busy:
            time.sleep(_PAUSE_S)


def per_point(storage: MetricStorage) -> str:
    """Bytes that a folded point takes, steps and times included."""
    points = storage.block_points
    return f"{storage.block_bytes / points:.2f}" if points else "-"
