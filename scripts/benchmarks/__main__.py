"""``scripts/bench [NAME …] [--json] [--quick] [--folder DIR] [--peers]``.

Without names every row is measured; with ``--peers`` the names are those of trackers, and
each is measured at the same work as Runwire. Progress goes to stderr, the table or the
JSON document to stdout. A row that fails stops no other; the exit code tells of it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.machine import machine, versions
from benchmarks.peers.comparison import compare
from benchmarks.peers.environment import PEERS
from benchmarks.rows import ROWS, Figures, Row
from benchmarks.work import Work


def main() -> int:
    arguments = _arguments()
    # As a user has it: without bytecode files every start would compile everything.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    base = Path(arguments.folder or tempfile.gettempdir())
    run = _peers if arguments.peers else _rows
    results = run(arguments.names, base, arguments.quick)
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(base),
        "versions": versions(),
        "quick": arguments.quick,
        "peers" if arguments.peers else "results": results,
    }
    if arguments.json:
        print(json.dumps(document, indent=2))
    elif arguments.peers:
        table.show_peers(results)
    else:
        table.show(results)
    return int(any("error" in result for result in results.values()))


def _rows(names: list[str], base: Path, quick: bool) -> dict[str, dict[str, Any]]:
    results = {}
    for name in names or ROWS:
        print(f"{name}: {ROWS[name].what} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=base, prefix="runwire-bench-") as folder:
            results[name] = measure(ROWS[name], Work(Path(folder), quick))
    return results


def _peers(names: list[str], base: Path, quick: bool) -> dict[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory(dir=base, prefix="runwire-bench-") as folder:
        return compare(names or list(PEERS), Work(Path(folder), quick))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--quick", action="store_true", help="smaller work, rougher figures")
    parser.add_argument("--folder", help="where to work; its disk is measured (default: /tmp)")
    parser.add_argument("--peers", action="store_true", help=f"measure {', '.join(PEERS)}")
    arguments = parser.parse_args()
    known, kind = (list(PEERS), "peer") if arguments.peers else (list(ROWS), "row")
    if unknown := sorted(set(arguments.names) - set(known)):
        parser.error(f"no {kind} {', '.join(unknown)}; there are {', '.join(known)}")
    return arguments


def measure(row: Row, work: Work) -> dict[str, Any]:
    """What the row's function found, or ``error`` with what it failed of."""
    start = time.perf_counter()
    try:
        figures = row.measure(work)
        found = {"figures": figures, "goals": _judged(row, figures)}
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        found = {"error": f"{type(error).__name__}: {error}"}
    return {"what": row.what, **found, "seconds": time.perf_counter() - start}


def _judged(row: Row, figures: Figures) -> list[dict[str, Any]]:
    return [
        {"figure": goal.figure, "relation": goal.relation, "limit": goal.limit,
         "met": goal.met(figures)}
        for goal in row.goals
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
