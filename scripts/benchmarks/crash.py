"""SIGKILL at random moments: what was returned is there, once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import Any

from benchmarks.work import Work

# Tells, by an unbuffered pipe, the last step whose call has returned.
CODE = """
import os, sys
import runwire
runwire.set_tracking_uri(sys.argv[1])
run = runwire.start_run()
print(run.info.run_id, flush=True)
step, returned = 0, int(sys.argv[2])
while True:
    runwire.log_metrics({"step": step, "twice": 2.0 * step}, step=step)
    os.write(returned, step.to_bytes(8, "little"))
    step += 1
"""


def kill_trainer(work: Work) -> dict[str, Any]:
    """L3: returned calls lost, and calls stored twice, over all rounds: both must be 0."""
    import runwire

    rounds = 10 if work.quick else 100
    chance = random.Random(0)
    lost = doubled = returned = 0
    with work.server() as uri, runwire.Client(uri) as client:
        for _ in range(rounds):
            run_id, steps = _killed_run(uri, work, chance.uniform(0.0, 0.15))
            _wait_until_ended(client, run_id)
            series = client.metrics.read([run_id], ["step"]).get((run_id, "step"))
            stored = [] if series is None else [int(step) for step in series.steps]
            returned += steps
            lost += len(set(range(steps)) - set(stored))
            doubled += len(stored) - len(set(stored))
    return {"rounds": rounds, "returned calls": returned, "lost": lost, "doubled": doubled}


def _killed_run(uri: str, work: Work, after_s: float) -> tuple[str, int]:
    """(run_id, number of calls that had returned when the trainer was killed)."""
    reader, writer = os.pipe()
    environment = os.environ | {"RUNWIRE_DIR": str(work.folder / "journals"), "RUNWIRE_QUIET": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", CODE, uri, str(writer)],
        stdout=subprocess.PIPE, text=True, env=environment, pass_fds=[writer],
    ) as trainer:  # fmt: skip
        os.close(writer)
        run_id = trainer.stdout.readline().strip() if trainer.stdout else ""
        steps = 0
        end = time.perf_counter() + after_s
        while time.perf_counter() < end:
            steps += len(os.read(reader, 1 << 16)) // 8
        trainer.send_signal(signal.SIGKILL)
    while data := os.read(reader, 1 << 16):
        steps += len(data) // 8
    os.close(reader)
    return run_id, steps


def _wait_until_ended(client: Any, run_id: str) -> None:
    """The uploader outlives its trainer: it sends the rest and then ends the run."""
    from runwire.v1.run_pb2 import Run

    deadline = time.perf_counter() + 60
    while time.perf_counter() < deadline:
        try:
            if client.runs.get(run_id).state == Run.STATE_KILLED:
                return
        except LookupError:
            pass  # not created yet
        time.sleep(0.02)
    raise SystemExit(f"run {run_id} did not end within a minute of its trainer's death")
