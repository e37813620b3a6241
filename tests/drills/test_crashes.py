"""Trainers that are killed: what had returned is there, once each."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import backends
import pytest
import runwire

from drills.processes import ended_run, eventually, server_process, steps_of, trainer

# Writes a dot, unbuffered, after each call that has returned.
ENDLESS = """
import os, sys, runwire
runwire.set_tracking_uri(sys.argv[1])
run = runwire.start_run()
print(run.info.run_id, flush=True)
step = 0
while True:
    runwire.log_metrics({"twice": 2.0 * step}, step=step)
    os.write(1, b".")
    step += 1
"""


@pytest.mark.parametrize("seed", range(5))
def test_killed_trainer_loses_no_call_that_had_returned(
    backend: backends.Backend, seed: int
) -> None:
    with server_process(backend) as server:
        server.start()
        with trainer(ENDLESS, server.uri) as job:
            assert job.stdout is not None
            run_id = job.stdout.readline().strip()
            seen = job.stdout.read(random.Random(seed).randrange(1, 20_000))
            job.send_signal(signal.SIGKILL)
            returned = len(seen + job.stdout.read())  # a dot for each call
        with runwire.Client(server.uri) as client:
            assert ended_run(client, run_id) == "KILLED"
            stored = steps_of(client, run_id, "twice")
        assert stored == list(range(len(stored)))
        assert len(stored) >= returned


def test_uploader_killed_in_the_middle_is_replaced_and_nothing_is_doubled(
    backend: backends.Backend,
) -> None:
    code = """
import os, signal, sys, runwire
from pathlib import Path
runwire.set_tracking_uri(sys.argv[1])
with runwire.start_run() as run:
    print(run.info.run_id, flush=True)
    for step in range(20_000):
        runwire.log_metrics({"twice": 2.0 * step}, step=step)
        if step % 5_000 == 2_500:
            assert runwire.flush(timeout=120)
            for meta in Path(os.environ["RUNWIRE_DIR"]).glob("**/meta.json"):
                for process in Path("/proc").glob("[0-9]*"):
                    try:
                        command = (process / "cmdline").read_bytes()
                    except OSError:
                        continue
                    if b"_uploader" in command and str(meta.parent).encode() in command:
                        os.kill(int(process.name), signal.SIGKILL)
print(runwire.flush(timeout=120))
"""
    with server_process(backend) as server:
        server.start()
        with trainer(code, server.uri) as job:
            output, errors = job.communicate(timeout=120)
        assert job.returncode == 0, errors
        run_id, flushed = output.split()
        assert flushed == "True"
        with runwire.Client(server.uri) as client:
            assert ended_run(client, run_id) == "FINISHED"
            assert steps_of(client, run_id, "twice") == list(range(20_000))


def test_unhandled_exception_ends_the_run_as_failed(backend: backends.Backend) -> None:
    code = """
import sys, runwire
runwire.set_tracking_uri(sys.argv[1])
run = runwire.start_run()
print(run.info.run_id, flush=True)
runwire.log_metric("loss", 1.0)
raise RuntimeError("training went wrong")
"""
    with server_process(backend) as server:
        server.start()
        with trainer(code, server.uri) as job:
            output, errors = job.communicate(timeout=120)
        assert job.returncode == 1
        assert "training went wrong" in errors
        with runwire.Client(server.uri) as client:
            assert ended_run(client, output.strip()) == "FAILED"
            assert client.runs.get(output.strip()).metrics["loss"] == 1.0


def test_nothing_runs_on_after_a_job_has_ended(backend: backends.Backend) -> None:
    code = "import sys, runwire; runwire.set_tracking_uri(sys.argv[1]); runwire.log_metric('a', 1)"
    with server_process(backend) as server:
        server.start()
        with trainer(code, server.uri) as job:
            output, errors = job.communicate(timeout=120)
            assert (job.returncode, output, errors) == (0, "", "")
        eventually(lambda: not _uploaders(), "the uploader leaves")


def _uploaders() -> list[str]:
    """Process ids of the uploaders of this test's journals."""
    directory = os.environ["RUNWIRE_DIR"].encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if directory in (process / "cmdline").read_bytes():
                found.append(process.name)
        except OSError:
            continue
    return found
