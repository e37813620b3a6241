"""A training job for drills: logs rows as fast as it can, and counts the calls that returned.

``python trainer.py BASE URI RUN_ID COUNTER ROWS``; the count survives its SIGKILL.
"""

from __future__ import annotations

import mmap
import sys
import time
from pathlib import Path

from runwire._journal import Journal


def main(base: str, uri: str, run_id: str, counter: str, rows: str) -> None:
    with Path(counter).open("r+b") as file:
        returned = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
    journal = Journal.open(base, uri)
    run = journal.create_run(run_id, {"run": {"run_id": run_id}, "experiment_name": "drill"})
    for step in range(int(rows)):
        if step % 1000 == 0:
            run.log_params({f"p{step}": str(step)})
        run.log_metrics({"loss": 1.0 / (step + 1), "acc": float(step)}, step, step)
        returned[0] = step + 1
    run.finish("FINISHED", time.time_ns() // 1000)
    journal.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
