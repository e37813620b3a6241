"""Several servers on one PostgreSQL: whichever answers, and whichever dies, the promises hold."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial

import backends
import psycopg
import pytest
import runwire
import sqlalchemy as sa

from drills.balancer import Balancer
from drills.processes import (
    RANK,
    STEADY,
    ServerProcess,
    ended_run,
    ended_well,
    eventually,
    server_process,
    steps_of,
    trainer,
)

Pair = tuple[ServerProcess, ServerProcess]


@pytest.fixture
def pair(backend: backends.Backend) -> Iterator[Pair]:
    """Two servers that are started, and know nothing of one another."""
    backend.require("several-servers")
    with server_process(backend) as ada, server_process(backend) as bob:
        ada.start()
        bob.start()
        yield ada, bob


def feed(job: subprocess.Popen[str], steps: int) -> None:
    """Let a STEADY job log so many rows, and wait until its calls have returned."""
    assert job.stdin is not None
    assert job.stdout is not None
    job.stdin.write(f"{steps}\n")
    job.stdin.flush()
    job.stdout.readline()


def all_arrives(
    uri: str, reader: str, rounds: list[tuple[Callable[[], None], Callable[[], None]]]
) -> None:
    """A job logs to ``uri`` while servers die and come back; ``reader`` then has it all."""
    with trainer(STEADY, uri, 60) as job:
        assert job.stdout is not None
        run_id = job.stdout.readline().strip()
        for die, come_back in rounds:
            feed(job, 4000)
            die()
            feed(job, 4000)
            come_back()
        assert ended_well(job)[-1] == "True"
    steps = 8000 * len(rounds)
    with runwire.Client(reader) as client:
        assert ended_run(client, run_id) == "FINISHED"
        assert steps_of(client, run_id, "twice") == list(range(steps))
        assert client.runs.get(run_id).params["steps"] == str(steps)
        (series,) = client.metrics.list(run_id, "twice")
        assert series.points == steps
        found = client.artifacts.list(run_id, recursive=True)
        assert [each.path for each in found] == ["notes/end.txt"]


@pytest.mark.parametrize("road", ["balancer", "list"])
def test_servers_killed_in_turn_lose_nothing(pair: Pair, road: str) -> None:
    ada, bob = pair
    with Balancer(ada.port, bob.port) as balancer:
        several = f"grpc://127.0.0.1:{ada.port},127.0.0.1:{bob.port}"
        uri = balancer.uri if road == "balancer" else several

        def kill(one: ServerProcess) -> None:
            if road == "balancer":
                eventually(lambda: one.port in balancer.given, "the server is used")
            one.kill()

        all_arrives(uri, bob.uri, [(partial(kill, one), one.start) for one in (ada, bob)])


def test_server_that_drains_under_load_sends_nobody_away_empty(pair: Pair) -> None:
    ada, bob = pair
    several = f"grpc://127.0.0.1:{ada.port},127.0.0.1:{bob.port}"
    all_arrives(several, bob.uri, [(one.stop, one.start) for one in (ada, bob)])


def test_connections_cut_again_and_again_lose_nothing(pair: Pair) -> None:
    ada, bob = pair
    with Balancer(ada.port, bob.port) as balancer:
        all_arrives(balancer.uri, ada.uri, [(balancer.cut, balancer.cut)] * 3)


def test_workers_killed_under_load_are_replaced_and_lose_nothing(
    backend: backends.Backend,
) -> None:
    backend.require("several-servers")
    with server_process(backend, "--workers", "2") as server:
        server.start()

        def kill_one() -> None:
            victim = server.workers()[0]
            os.kill(victim, signal.SIGKILL)
            eventually(lambda: len({*server.workers()} - {victim}) == 2, "it is replaced")

        all_arrives(server.uri, server.uri, [(kill_one, lambda: None)] * 2)


def test_two_servers_take_batches_of_one_run_at_once(pair: Pair) -> None:
    with runwire.Client(pair[0].uri) as client, ExitStack() as stack:
        run_id = client.runs.create(name="ranks").run_id
        jobs = [
            stack.enter_context(trainer(RANK, pair[rank % 2].uri, run_id, rank))
            for rank in range(4)
        ]
        for job in jobs:
            assert ended_well(job) == ["True"]
        eventually(lambda: len(steps_of(client, run_id, "rank/3")) == 1000, "all arrives")
        for rank in range(4):
            assert steps_of(client, run_id, f"rank/{rank}") == list(range(1000))
        assert len(client.metrics.read([run_id], ["shared"])[run_id, "shared"]) == 4000


def test_what_one_server_has_acknowledged_the_other_reads_at_once(pair: Pair) -> None:
    with runwire.Client(pair[0].uri) as ada, runwire.Client(pair[1].uri) as bob:
        run_id = ada.runs.create(name="shared").run_id
        for step in range(20):
            writer, reader = (ada, bob) if step % 2 else (bob, ada)
            writer.metrics.log(run_id, {"twice": 2.0 * step}, step=step)
            assert steps_of(reader, run_id, "twice") == list(range(step + 1))
            (series,) = reader.metrics.list(run_id)
            assert (series.points, series.last_step) == (step + 1, step)
            found = reader.runs.search(filter=f"metrics.twice = {2.0 * step}")
            assert [run.run_id for run in found] == [run_id]


def test_two_servers_that_sum_up_the_same_runs_count_each_point_once(pair: Pair) -> None:
    with runwire.Client(pair[0].uri) as ada, runwire.Client(pair[1].uri) as bob:
        run_ids = [ada.runs.create(name=f"run {number}").run_id for number in range(8)]
        for rows in range(1, 4):
            for run_id in run_ids:
                ada.metrics.log(run_id, {"twice": 2.0 * rows}, step=rows)
            together = threading.Barrier(6)

            def ask(client: runwire.Client, barrier: threading.Barrier = together) -> int:
                barrier.wait(120)
                return len(list(client.runs.search(filter="metrics.twice > 0")))

            with ThreadPoolExecutor(6) as pool:
                assert list(pool.map(ask, [ada, bob] * 3)) == [8] * 6
            for run_id in run_ids:
                for client in (ada, bob):
                    (series,) = client.metrics.list(run_id)
                    assert series.points == rows


def test_server_whose_database_is_away_when_a_worker_dies_comes_back(
    backend: backends.Backend,
) -> None:
    backend.require("several-servers")
    with server_process(backend, "--workers", "2", "--log-level", "error") as server:
        server.start()
        with no_connections(backend.metadata_url):
            victims = set(server.workers())
            for victim in victims:
                os.kill(victim, signal.SIGKILL)
            eventually(lambda: set(server.workers()) - victims, "another is tried")
        with runwire.Client(server.uri) as client:
            assert eventually(lambda: _created(client), "it answers again")


@contextmanager
def no_connections(database_url: str) -> Iterator[None]:
    """The database takes none, and has cut those it had."""
    name = sa.make_url(database_url).database
    anywhere = sa.make_url(database_url).set(database="postgres", drivername="postgresql")
    with psycopg.connect(anywhere.render_as_string(hide_password=False), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        yield
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def _created(client: runwire.Client) -> str:
    try:
        return client.runs.create().run_id
    except runwire.UnavailableError:
        return ""
