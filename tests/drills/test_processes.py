"""Many processes and one run: forks, spawned workers, ranks."""

from __future__ import annotations

from pathlib import Path

import backends
import runwire

from drills.processes import (
    RANK,
    ended_run,
    ended_well,
    eventually,
    server_process,
    steps_of,
    trainer,
)

FORKS = """
import os, sys, runwire
runwire.set_tracking_uri(sys.argv[1])
with runwire.start_run() as run:
    print(run.info.run_id, flush=True)
    runwire.search_experiments()  # gRPC is in this process from here on
    children = []
    for child in range(25):
        runwire.log_metric("parent", 2.0 * child, step=child)
        pid = os.fork()
        if pid == 0:
            if child % 2:
                for step in range(100):
                    runwire.log_metric(f"child/{child}", 2.0 * step, step=step)
            sys.exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    runwire.search_experiments()
print(runwire.flush(timeout=120))
"""

SPAWN = """
import multiprocessing, sys, runwire

def work(run, rank):
    for step in range(200):
        run.log_metrics({f"rank/{rank}": 2.0 * step}, step=step)

if __name__ == "__main__":
    runwire.set_tracking_uri(sys.argv[1])
    with runwire.start_run() as run:
        print(run.info.run_id, flush=True)
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=work, args=(run, rank)) for rank in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
    print(runwire.flush(timeout=120))
"""


def test_25_forked_children_log_or_idle_and_all_of_it_arrives(backend: backends.Backend) -> None:
    with server_process(backend) as server:
        server.start()
        with trainer(FORKS, server.uri) as job:
            run_id, flushed = ended_well(job)
        assert flushed == "True"
        with runwire.Client(server.uri) as client:
            assert ended_run(client, run_id) == "FINISHED"
            assert steps_of(client, run_id, "parent") == list(range(25))
            for child in range(1, 25, 2):
                _eventually_whole(client, run_id, f"child/{child}", 100)


def test_run_handle_goes_to_spawned_processes(backend: backends.Backend, tmp_path: Path) -> None:
    script = tmp_path / "spawn.py"
    script.write_text(SPAWN)
    code = f"import runpy, sys; runpy.run_path({str(script)!r}, run_name='__main__')"
    with server_process(backend) as server:
        server.start()
        with trainer(code, server.uri, PYTHONPATH=str(tmp_path)) as job:
            run_id, flushed = ended_well(job)
        assert flushed == "True"
        with runwire.Client(server.uri) as client:
            assert ended_run(client, run_id) == "FINISHED"
            for rank in range(3):
                _eventually_whole(client, run_id, f"rank/{rank}", 200)


def test_eight_processes_log_to_one_run(backend: backends.Backend) -> None:
    with server_process(backend) as server:
        server.start()
        with runwire.Client(server.uri) as client:
            run_id = client.runs.create(name="ranks").run_id
            jobs = [trainer(RANK, server.uri, run_id, rank) for rank in range(8)]
            started = [job.__enter__() for job in jobs]
            for job, process in zip(jobs, started, strict=True):
                assert ended_well(process) == ["True"]
                job.__exit__(None, None, None)
            assert ended_run(client, run_id) == "FINISHED"
            for rank in range(8):
                _eventually_whole(client, run_id, f"rank/{rank}", 1000)
            shared = client.metrics.read([run_id], ["shared"])[run_id, "shared"]
            assert len(shared) == 8000


def _eventually_whole(client: runwire.Client, run_id: str, key: str, steps: int) -> None:
    eventually(lambda: len(steps_of(client, run_id, key)) >= steps, f"{key} arrives")
    assert steps_of(client, run_id, key) == list(range(steps))
