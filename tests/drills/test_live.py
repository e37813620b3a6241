"""Tails and watches of several servers, while these die and come back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import backends
import pytest
import runwire

from drills.processes import STEADY, ServerProcess, ended_well, server_process, trainer


@pytest.fixture
def server_alone(backend: backends.Backend) -> Iterator[ServerProcess]:
    with server_process(backend) as server:
        server.start()
        yield server


def followed(client: runwire.Client, run_id: str, begun: threading.Event) -> list[int]:
    """The steps of a run as a tail tells them, until its end. It is patient once it has
    ``begun``."""
    steps: list[int] = []
    with client.metrics.tail(run_id, "twice", from_beginning=True) as tail:
        for event in tail:
            begun.set()
            steps += [step for _, step, _, _ in event.points()]
            if event.ended:
                return steps
    raise AssertionError("it ended without the run")


def test_a_tail_outlives_its_server(server_alone: ServerProcess) -> None:
    server = server_alone
    with (
        trainer(STEADY, server.uri, 60) as job,
        runwire.Client(server.uri) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        assert job.stdin is not None
        assert job.stdout is not None
        run_id = job.stdout.readline().strip()
        while not _is_there(client, run_id):
            threading.Event().wait(0.05)
        begun = threading.Event()
        told = pool.submit(followed, client, run_id, begun)
        assert begun.wait(120)
        for end in (server.kill, server.stop):
            job.stdin.write("4000\n")
            job.stdin.flush()
            job.stdout.readline()
            end()
            server.start()
        assert ended_well(job)[-1] == "True"
        assert told.result(120) == list(range(8000))


def _is_there(client: runwire.Client, run_id: str) -> bool:
    try:
        return bool(client.runs.get(run_id))
    except (runwire.NotFoundError, runwire.UnavailableError):
        return False


def test_what_is_changed_at_several_servers_is_told_by_each(backend: backends.Backend) -> None:
    """Many change many runs at once: no watcher misses one, in whatever order they commit."""
    backend.require("several-servers")
    with server_process(backend) as ada, server_process(backend) as bob:
        ada.start()
        bob.start()
        with runwire.Client(ada.uri) as one, runwire.Client(bob.uri) as other:
            watches = [client.runs.watch() for client in (one, other)]
            for watch in watches:
                assert next(watch).HasField("mark")

            def make(number: int) -> str:
                client = (one, other)[number % 2]
                run_id = client.runs.create(name=f"run {number}").run_id
                client.runs.update(run_id, tags={"last": "yes"})
                return run_id

            with ThreadPoolExecutor(8) as pool:
                made = set(pool.map(make, range(200)))
            for watch in watches:
                final: set[str] = set()
                while final < made:
                    event = next(watch)
                    if event.HasField("changed") and event.changed.revision == 2:
                        final.add(event.changed.run_id)
                watch.close()
