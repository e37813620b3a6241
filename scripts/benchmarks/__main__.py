"""``scripts/bench [NAME …] [--json] [--quick] [--folder DIR] [--peers]``.

Without names every row is measured. Progress goes to stderr, the table or the JSON
document to stdout. A row that fails stops no other; the exit code tells of it.
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
from benchmarks.rows import ROWS, Figures, Row
from benchmarks.work import Work


def main() -> int:
    arguments = _arguments()
    # As a user has it: without bytecode files every start would compile everything.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    base = Path(arguments.folder or tempfile.gettempdir())
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(base),
        "versions": versions(),
        "quick": arguments.quick,
        "results": {},
    }
    for name in arguments.names or ROWS:
        print(f"{name}: {ROWS[name].what} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=base, prefix="runwire-bench-") as folder:
            document["results"][name] = measure(ROWS[name], Work(Path(folder), arguments.quick))
    if arguments.json:
        print(json.dumps(document, indent=2))
    else:
        table.show(document["results"])
    return int(any("error" in result for result in document["results"].values()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--quick", action="store_true", help="smaller work, rougher figures")
    parser.add_argument("--folder", help="where to work; its disk is measured (default: /tmp)")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(ROWS)):
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
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
