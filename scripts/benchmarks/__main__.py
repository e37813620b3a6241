"""``scripts/bench [NAME …] [--json] [--quick]``: run, then print a table or JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import crash, ingest, logging_calls, start
from benchmarks.work import Work

Benchmark = Callable[[Work], dict[str, Any]]

BENCHMARKS: dict[str, tuple[str, Benchmark]] = {
    "L1": ("log_metrics of 20 values, log_metric of one: ns a call", logging_calls.log_calls),
    "L3": ("SIGKILL of the trainer at random moments: lost and doubled calls", crash.kill_trainer),
    "L4": (
        "import; start_run to the first log_metric returned: ms",
        logging_calls.import_and_start,
    ),
    "I1": ("journals of 2 writers, 20 metrics a row, to acknowledged: points/s", ingest.drain),
    "I3": ("64 jobs log 20 metrics as fast as allowed: points/s, p99 of a call", ingest.many_jobs),
    "S1": ("server start to first answer, idle memory, runwire --help", start.start),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--quick", action="store_true", help="smaller work, rougher figures")
    parser.add_argument("--folder", help="where to work; its disk is measured (default: /tmp)")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(
            f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}"
        )
    # As a user has it: without bytecode files every start would compile everything.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    results = {}
    for name in arguments.names or BENCHMARKS:
        title, benchmark = BENCHMARKS[name]
        print(f"{name}: {title} …", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="runwire-bench-") as folder:
            results[name] = {"title": title, **benchmark(Work(Path(folder), arguments.quick))}
        if not arguments.json:
            _print(results[name])
    if arguments.json:
        machine = {"cores": os.cpu_count(), "machine": platform.platform(), "python": sys.version}
        print(json.dumps({"machine": machine, "results": results}, indent=2))
    return 0


def _print(result: dict[str, Any]) -> None:
    for name, value in result.items():
        if name != "title":
            text = (
                f"{value:,.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,}"
            )
            print(f"    {name:44} {text:>16}")


if __name__ == "__main__":
    sys.exit(main())
