"""Programs that serve models, while servers die and aliases move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import backends
import pytest
import runwire
from runwire.registry import ModelWatcher

from drills.processes import ServerProcess, eventually, server_process

Pair = tuple[ServerProcess, ServerProcess]
REFERENCE = "fraud@champion"
WATCHERS = 20


@pytest.fixture
def pair(backend: backends.Backend) -> Iterator[Pair]:
    """Two servers that are started, and know nothing of one another."""
    backend.require("several-servers")
    with server_process(backend) as ada, server_process(backend) as bob:
        ada.start()
        bob.start()
        yield ada, bob


def publish(client: runwire.Client, count: int) -> None:
    for _ in range(count):
        client.models.create_version(
            "fraud", source_uri="s3://elsewhere/model", create_model=True, aliases=["champion"]
        )


def move(client: runwire.Client, version: int) -> None:
    """To a server that has just come back: connections of this process may not know it yet."""

    def is_moved() -> bool:
        try:
            client.models.set_alias("fraud", "champion", version)
        except runwire.UnavailableError:
            return False
        return True

    eventually(is_moved, "the alias is moved")


def all_know(watchers: list[ModelWatcher], version: int) -> None:
    for one in watchers:
        eventually(lambda one=one: one.get(REFERENCE).version == version, "it hears of it")  # type: ignore[misc]


def test_watchers_outlive_a_server_that_is_killed_and_started_again(
    backend: backends.Backend, tmp_path: Path
) -> None:
    with server_process(backend) as server, ExitStack() as stack:
        server.start()
        with runwire.Client(server.uri) as client:
            publish(client, 3)
        watchers = [
            stack.enter_context(
                ModelWatcher([REFERENCE], uri=server.uri, path=tmp_path / f"{number}.json")
            )
            for number in range(WATCHERS)
        ]
        assert all(one.wait_ready(60) for one in watchers)
        for version in (1, 2):
            server.kill()
            eventually(lambda: not any(one.connected for one in watchers), "they notice")
            known = {one.get(REFERENCE).version for one in watchers}
            assert len(known) == 1
            with ModelWatcher([REFERENCE], uri=server.uri, path=tmp_path / "0.json") as born_away:
                assert born_away.wait_ready(0)
                assert {born_away.get(REFERENCE).version} == known
                assert not born_away.connected
            server.start()
            with runwire.Client(server.uri) as client:
                move(client, version)
            all_know(watchers, version)
            assert all(one.connected for one in watchers)


def test_watcher_that_never_had_an_answer_says_that_the_server_is_away(
    backend: backends.Backend,
) -> None:
    with server_process(backend) as server, ModelWatcher([REFERENCE], uri=server.uri) as models:
        assert not models.wait_ready(0.5)
        assert models.age_s is None
        with pytest.raises(runwire.UnavailableError):
            models.get(REFERENCE)
        server.start()
        assert models.wait_ready(60)
        with pytest.raises(runwire.NotFoundError):
            models.get(REFERENCE)


def test_alias_that_flaps_at_one_server_ends_the_same_for_watchers_of_the_other(
    pair: Pair,
) -> None:
    ada, bob = pair
    with runwire.Client(ada.uri) as client, ExitStack() as stack:
        publish(client, 3)
        watchers = [
            stack.enter_context(ModelWatcher([REFERENCE], uri=(ada.uri, bob.uri)[number % 2]))
            for number in range(WATCHERS)
        ]
        assert all(one.wait_ready(60) for one in watchers)
        for final in (1, 2, 3, 1):
            for turn in range(30):
                client.models.set_alias("fraud", "champion", turn % 3 + 1)
            client.models.set_alias("fraud", "champion", final)
            all_know(watchers, final)


def test_watchers_of_two_servers_go_on_at_the_one_that_is_left(pair: Pair) -> None:
    ada, bob = pair
    several = f"grpc://127.0.0.1:{ada.port},127.0.0.1:{bob.port}"
    with runwire.Client(several) as client, ExitStack() as stack:
        publish(client, 3)
        watchers = [
            stack.enter_context(ModelWatcher([REFERENCE], uri=several)) for _ in range(WATCHERS)
        ]
        assert all(one.wait_ready(60) for one in watchers)
        for victim, version in ((ada, 1), (bob, 2)):
            victim.kill()
            move(client, version)
            all_know(watchers, version)
            victim.start()
        ada.stop()
        move(client, 3)
        all_know(watchers, 3)


def test_what_one_server_has_moved_the_other_resolves_with_its_revision(pair: Pair) -> None:
    with runwire.Client(pair[0].uri) as ada, runwire.Client(pair[1].uri) as bob:
        publish(ada, 2)
        for turn in range(40):
            writer, reader = (ada, bob) if turn % 2 else (bob, ada)
            moved = writer.models.set_alias("fraud", "champion", turn % 2 + 1)
            found = reader.models.resolve_all([REFERENCE], min_revision=moved.revision)
            assert found.resolved[0].model_version.version == turn % 2 + 1
