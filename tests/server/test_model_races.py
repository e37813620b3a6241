"""The registry under many writers: one server on SQLite, two on one PostgreSQL.

Whatever the order in which calls get through, there is one history, and it adds up.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import backends
import pytest
import runwire
from runwire.v1.model_pb2 import Model, ModelEvent, ModelVersion

WRITERS = 32

Clients = list[runwire.Client]
T = TypeVar("T")


@pytest.fixture
def clients(backend: backends.Backend) -> Iterator[Clients]:
    servers = 1 if "several-servers" in backend.capabilities else 2
    with ExitStack() as stack:
        uris = [stack.enter_context(backends.grpc_server(backend)) for _ in range(servers)]
        yield [stack.enter_context(runwire.Client(uri, timeout_s=120)) for uri in uris]


def at_once(clients: Clients, count: int, call: Callable[[runwire.Client, int], T]) -> list[Any]:
    """The results, or errors, of ``call(client, 0..count-1)`` started together on all servers."""
    barrier = threading.Barrier(count)

    def one(number: int) -> Any:
        barrier.wait()
        try:
            return call(clients[number % len(clients)], number)
        except runwire.RunwireError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def publish(client: runwire.Client, versions: int, model: str = "m") -> None:
    for _ in range(versions):
        client.models.create_version(model, source_uri="s3://x", create_model=True)


def events(client: runwire.Client, **only: Any) -> list[ModelEvent]:
    """The oldest first."""
    return list(client.models.list_events("m", **only))[::-1]


def check_alias_history(client: runwire.Client, alias: str) -> None:
    """Each move begins where the one before ended, and the last ended where the alias is."""
    moves = events(client, alias=alias)
    targets = [0, *(move.version for move in moves)]
    assert [move.previous_version for move in moves] == targets[:-1]
    assert client.models.get("m").aliases.get(alias, 0) == targets[-1]


def check_stage_history(client: runwire.Client) -> None:
    """The same for the stages of all versions."""
    stages: dict[int, list[str]] = defaultdict(lambda: ["none"])
    for move in events(client, kinds=["STAGE_CHANGED"]):
        assert move.previous_stage == stages[move.version][-1]
        stages[move.version].append(move.stage)
    for version in client.models.search_versions():
        assert version.stage == stages[version.version][-1]


def test_numbers_of_many_writers_are_dense_and_unique(clients: Clients) -> None:
    def write(client: runwire.Client, number: int) -> list[int]:
        return [
            client.models.create_version(
                "m", source_uri=f"s3://{number}", create_model=True, aliases=["newest"]
            ).version
            for _ in range(3)
        ]

    numbers = [number for made in at_once(clients, WRITERS, write) for number in made]
    assert sorted(numbers) == list(range(1, WRITERS * 3 + 1))
    every = events(clients[0])
    assert [one.revision for one in every] == list(range(1, len(every) + 1))
    created = [one.version for one in every if one.kind == ModelEvent.KIND_VERSION_CREATED]
    assert created == sorted(numbers)
    check_alias_history(clients[0], "newest")


def test_every_compare_and_set_that_succeeds_saw_the_one_before(clients: Clients) -> None:
    publish(clients[0], 16)

    def move(client: runwire.Client, number: int) -> int:
        while True:
            seen = client.models.get("m").aliases.get("champion", 0)
            try:
                moved = client.models.set_alias("m", "champion", number + 1, expected_version=seen)
            except runwire.ConflictError:
                continue
            assert moved.previous_version == seen
            return number + 1

    moved = at_once(clients, 16, move)
    assert moved == list(range(1, 17))
    assert sorted(move.version for move in events(clients[0], alias="champion")) == moved
    check_alias_history(clients[0], "champion")


def test_moves_and_rollbacks_at_once_make_one_history(clients: Clients) -> None:
    publish(clients[0], 4)

    def move(client: runwire.Client, number: int) -> object:
        if number % 3 == 0:
            return client.models.rollback_alias("m", "champion")
        if number % 7 == 0:
            return client.models.delete_alias("m", "champion")
        return client.models.set_alias("m", "champion", number % 4 + 1)

    for one in at_once(clients, WRITERS, move):
        assert not isinstance(one, runwire.RunwireError) or isinstance(one, runwire.NotFoundError)
    check_alias_history(clients[0], "champion")
    while "champion" in clients[0].models.get("m").aliases:
        clients[0].models.rollback_alias("m", "champion")
    check_alias_history(clients[0], "champion")


def test_two_who_roll_back_from_the_same_version_do_it_once(clients: Clients) -> None:
    publish(clients[0], 3)
    for version in (1, 2, 3):
        clients[0].models.set_alias("m", "champion", version)

    def roll_back(client: runwire.Client, _: int) -> int:
        return client.models.rollback_alias("m", "champion", expected_version=3).version

    done = at_once(clients, 8, roll_back)
    assert [one for one in done if not isinstance(one, runwire.ConflictError)] == [2]
    assert clients[0].models.resolve("m@champion").version == 2


def test_transition_from_an_expected_stage_has_one_winner(clients: Clients) -> None:
    publish(clients[0], 1)
    for expected, stage in pairwise(("none", "staging", "production", "archived", "none")):
        move = partial(_move, expected=expected, stage=stage)
        results = at_once(clients, 8, move)
        won = [one for one in results if not isinstance(one, runwire.FailedPreconditionError)]
        assert [one.stage for one in won] == [stage]
    check_stage_history(clients[0])


def _move(client: runwire.Client, _: int, *, expected: str, stage: str) -> ModelVersion:
    return client.models.transition_version("m", 1, stage, expected_stage=expected)


def test_transitions_that_archive_others_leave_one_in_the_stage(clients: Clients) -> None:
    publish(clients[0], 8)

    def promote(client: runwire.Client, number: int) -> object:
        return client.models.transition_version(
            "m", number % 8 + 1, "production", archive_others=True
        )

    for one in at_once(clients, 16, promote):
        assert not isinstance(one, runwire.RunwireError), one
    assert len(list(clients[0].models.search_versions("stage = 'production'"))) == 1
    check_stage_history(clients[0])


def test_no_alias_points_at_a_version_that_is_deleted_meanwhile(clients: Clients) -> None:
    for version in range(1, 7):
        publish(clients[0], 1)
        at_once(clients, 6, partial(_delete_or_point, version=version))
        assert version not in clients[0].models.get("m").aliases.values()
    for number in range(1, 6):
        check_alias_history(clients[0], f"a{number}")


def _delete_or_point(client: runwire.Client, number: int, *, version: int) -> None:
    if number == 0:
        client.models.delete_version("m", version)
    else:
        client.models.set_alias("m", f"a{number}", version)


def test_restore_and_create_at_once_leave_one_model_of_the_name(clients: Clients) -> None:
    for _ in range(6):
        clients[0].models.create("m")
        clients[0].models.delete("m")
        results = at_once(clients, 6, _restore_or_create)
        assert sum(not isinstance(one, runwire.RunwireError) for one in results) == 1
        assert [one.name for one in clients[0].models.search()] == ["m"]
        clients[0].models.delete("m")


def _restore_or_create(client: runwire.Client, number: int) -> Model:
    return client.models.restore("m") if number % 2 else client.models.create("m")


def test_model_made_and_renamed_at_once_keeps_names_unique(clients: Clients) -> None:
    for number in range(8):
        clients[0].models.create(f"m{number}")

    def rename(client: runwire.Client, number: int) -> object:
        return client.models.update(f"m{number}", new_name="taken")

    results = at_once(clients, 8, rename)
    assert sum(isinstance(one, runwire.AlreadyExistsError) for one in results) == 7
    assert len(list(clients[0].models.search("name = 'taken'"))) == 1


def test_revisions_of_all_models_are_one_sequence(clients: Clients) -> None:
    def write(client: runwire.Client, number: int) -> None:
        publish(client, 2, f"m{number}")
        client.models.update_version(f"m{number}", 1, description="x")
        client.models.delete_version(f"m{number}", 2)
        client.models.restore_version(f"m{number}", 2)

    for one in at_once(clients, 16, write):
        assert one is None, one
    revisions = [one.revision for one in clients[0].models.list_events()][::-1]
    assert revisions == list(range(1, 16 * 6 + 1))
