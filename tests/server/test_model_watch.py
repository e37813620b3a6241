"""WatchModels as only the server sees it: who reads what, who waits for what, how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire.v1.model_pb2 import ModelEvent
from runwire.v1.registry_service_pb2 import WatchModelsRequest, WatchModelsResponse
from runwire_server import errors
from runwire_server.errors import Draining
from runwire_server.store import live, model_watch
from runwire_server.store.database import Database
from runwire_server.store.registry import Watching

from server.registries import Queries, Service, operation, other, service

__all__ = ["other", "service"]


class Watcher:
    """One watch, read in the thread of whoever asks for the next event."""

    def __init__(self, service: Service, drain: threading.Event | None = None, **fields: Any):
        request = WatchModelsRequest(**fields)
        self.watching: Watching = service.registry.watch(request, drain or threading.Event(), 600.0)
        self._events = self.watching.events()

    def __iter__(self) -> Iterator[WatchModelsResponse]:
        return map(WatchModelsResponse.FromString, self._events)

    def until(self, kind: str) -> list[WatchModelsResponse]:
        """The events up to the first of this kind, with it."""
        found = []
        for event in self:
            found.append(event)
            if event.WhichOneof("event") == kind:
                return found
        raise AssertionError(f"no {kind}")


@contextmanager
def watcher(service: Service, **fields: Any) -> Iterator[Watcher]:
    """One that has told all that there is to tell now."""
    made = Watcher(service, **fields)
    made.until("mark")
    try:
        yield made
    finally:
        made.watching.cancel()
        list(made)


def test_two_hundred_watchers_of_one_change_read_it_once(service: Service, db: Database) -> None:
    service.publish(aliases=["champion"])
    service.publish()
    watchers = [Watcher(service, models=["m"]) for _ in range(200)]
    for one in watchers:
        one.until("mark")
    with ThreadPoolExecutor(200) as pool:
        waiting = [pool.submit(one.until, "change") for one in watchers]
        queries = Queries(db)
        moved = service.SetModelAlias(model="m", alias="champion", version=2)
        told = [one.result(120)[-1] for one in waiting]
        asked = queries.count
        for one in watchers:
            one.watching.cancel()
    assert {event.revision for event in told} == {moved.revision}
    assert {event.change.version for event in told} == {2}
    assert asked < 200


def test_change_at_another_server_is_told(service: Service, other: Service) -> None:
    service.publish()
    with watcher(service) as one:
        for number in range(3):
            made = other.publish().model_version
            change = one.until("change")[-1].change
            assert change.version == made.version == number + 2


def test_watch_that_tells_the_last_only_tells_up_to_the_same_revision(service: Service) -> None:
    for _ in range(3):
        service.publish(aliases=["champion", "other"])
    whole = Watcher(service, after_revision=1).until("mark")[:-1]
    last = Watcher(service, after_revision=1, last_only=True).until("mark")[:-1]
    assert last == whole[-1:]
    assert len(whole) > 10


def test_idle_watch_tells_a_mark_in_time(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MARK_S", 0.05)
    monkeypatch.setattr(live, "LOOK_S", 0.02)
    service.publish()
    with watcher(service, models=["nobody"]) as one:
        revision = service.publish().model_version.etag
        while str(one.until("mark")[-1].revision) != revision:
            pass


def test_watch_ends_when_the_server_drains_or_it_is_old(service: Service) -> None:
    drain = threading.Event()
    one = Watcher(service, drain)
    one.until("mark")
    drain.set()
    with pytest.raises(errors.Draining):
        list(one)
    old = service.registry.watch(WatchModelsRequest(), threading.Event(), 0.0)
    with pytest.raises(errors.Draining):
        list(old.events())


def test_watch_that_is_too_far_behind_is_told_so(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_watch, "MOST_BEHIND", 5)
    for _ in range(6):
        service.publish()
    events = list(Watcher(service, after_revision=0))
    assert [event.WhichOneof("event") for event in events] == ["expired"]


def test_closed_registry_leaves_no_thread(db: Database) -> None:
    service = Service(db)
    service.publish()
    with watcher(service):
        assert _threads() == 1
        service.registry.close()
        assert _threads() == 0


def _threads() -> int:
    return sum(thread.name == "runwire-registry" for thread in threading.enumerate())


class Copy:
    """A registry as one who watches it sees it."""

    def __init__(self) -> None:
        self.models: dict[str, object] = {}
        self.versions: dict[tuple[str, int], object] = {}

    def hear(self, event: WatchModelsResponse) -> None:
        kind = event.WhichOneof("event")
        if kind == "model":
            self.models[event.model.name] = event.model
        elif kind == "model_version":
            version = event.model_version
            self.versions[version.model, version.version] = version
        elif kind == "change":
            self._happened(event.change)

    def _happened(self, change: ModelEvent) -> None:
        if change.kind == ModelEvent.KIND_VERSION_DELETED:
            self.versions.pop((change.model, change.version), None)
        elif change.kind == ModelEvent.KIND_MODEL_DELETED:
            self.models.pop(change.model, None)
            for key in [key for key in self.versions if key[0] == change.model]:
                del self.versions[key]


@settings(max_examples=25)
@given(
    steps=st.lists(
        st.tuples(operation.filter(lambda one: one[0] != "UpdateModel"), st.booleans()),
        max_size=25,
    ),
    cut=st.integers(1, 40),
)
def test_who_follows_a_watch_has_what_the_registry_has(
    service: Service, other: Service, steps: Any, cut: int
) -> None:
    """From a snapshot on, cut after any event and gone on with from its revision."""
    copy, place = Copy(), 0
    for event in Watcher(service, snapshot_first=True).until("mark"):
        copy.hear(event)
        place = event.revision
    for (method, fields), elsewhere in steps:
        with suppress(errors.ServiceError):
            getattr(other if elsewhere else service, method)(**fields)
    for event in Watcher(service, after_revision=place).until("mark")[:cut]:
        copy.hear(event)
        place = event.revision
    for event in Watcher(service, after_revision=place).until("mark"):
        copy.hear(event)
    assert copy.models == {one.name: one for one in service.SearchModels().models}
    versions = service.SearchModelVersions().model_versions
    assert copy.versions == {(one.model, one.version): one for one in versions}


def test_watch_does_not_miss_what_is_changed_while_it_begins(service: Service) -> None:
    service.publish()
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            service.publish()
            time.sleep(0)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for _ in range(10):
            one = Watcher(service, snapshot_first=True)
            events = one.until("mark")
            seen = {e.model_version.version for e in events if e.HasField("model_version")}
            while True:
                event = next(iter(one))
                if event.HasField("model_version"):
                    seen.add(event.model_version.version)
                if event.HasField("change"):
                    break
            assert seen == set(range(1, max(seen) + 1))
            one.watching.cancel()
    finally:
        stop.set()
        changer.join()


def test_snapshot_that_ends_in_the_middle_is_not_marked(service: Service) -> None:
    for name in ("m", "n"):
        service.publish(name)
    request = WatchModelsRequest(snapshot_first=True)
    watching = service.registry.watch(request, threading.Event(), 0.0)
    told: list[bytes] = []
    with pytest.raises(Draining):
        told.extend(watching.events())
    assert [WatchModelsResponse.FromString(one).WhichOneof("event") for one in told] == ["model"]
