"""Servers that die, are away, or come late: all that was logged arrives, once each."""

from __future__ import annotations

import backends
import runwire

from drills.processes import (
    STEADY,
    ended_run,
    ended_well,
    eventually,
    journals,
    server_process,
    steps_of,
    trainer,
)


def test_server_killed_under_load_and_started_again_loses_nothing(
    backend: backends.Backend,
) -> None:
    with server_process(backend) as server:
        server.start()
        with trainer(STEADY, server.uri, 60) as job:
            assert job.stdin is not None
            assert job.stdout is not None
            run_id = job.stdout.readline().strip()
            for _ in range(3):
                for _ in range(5):
                    job.stdin.write("2000\n")
                    job.stdin.flush()
                    job.stdout.readline()
                server.kill()
                job.stdin.write("1000\n")  # while it is away
                job.stdin.flush()
                job.stdout.readline()
                server.start()
            assert ended_well(job)[-1] == "True"
        with runwire.Client(server.uri) as client:
            assert ended_run(client, run_id) == "FINISHED"
            assert steps_of(client, run_id, "twice") == list(range(33_000))
            assert client.runs.get(run_id).params["steps"] == "33000"
            assert [each.path for each in client.artifacts.list(run_id, recursive=True)] == [
                "notes/end.txt"
            ]


def test_server_that_is_away_at_the_start_never_stops_a_job(backend: backends.Backend) -> None:
    with server_process(backend) as server:
        with trainer(STEADY, server.uri, 0.1) as job:
            run_id, *rest = _fed(job, "500\n")
            assert rest == ["500", "False"]
        server.start()
        with runwire.Client(server.uri) as client:
            assert ended_run(client, run_id) == "FINISHED"
            assert steps_of(client, run_id, "twice") == list(range(500))
        eventually(lambda: not journals(), "the journal is removed once all is acknowledged")


def test_offline_run_arrives_with_sync_and_a_second_sync_changes_nothing(
    backend: backends.Backend,
) -> None:
    from runwire._command import main

    with server_process(backend) as server:
        server.start()
        with trainer(STEADY, server.uri, 0.1, RUNWIRE_MODE="offline") as job:
            run_id, *_ = _fed(job, "700\n")
        with runwire.Client(server.uri) as client:
            assert list(client.runs.search()) == []
            assert len(journals()) == 1
            assert main(["sync"]) == 0
            assert main(["sync"]) == 0
            assert ended_run(client, run_id) == "FINISHED"
            assert steps_of(client, run_id, "twice") == list(range(700))
            assert journals() == []


def _fed(job: object, lines: str) -> list[str]:
    """The job's output for these lines of input, to its end."""
    output, errors = job.communicate(lines, timeout=120)  # type: ignore[attr-defined]
    assert job.returncode == 0, errors  # type: ignore[attr-defined]
    return list(output.splitlines())
