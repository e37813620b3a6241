"""Who follows is told of every change since it began, whatever it meets."""

from __future__ import annotations

import threading
from collections.abc import Collection
from contextlib import closing
from typing import Any

import pytest
from drills.processes import eventually
from runwire_server.store.pulse import Pulse


def test_who_comes_during_a_look_is_told_of_what_it_finds() -> None:
    state, looks, may_look = {"t": 5}, threading.Semaphore(0), threading.Semaphore(0)

    def ask(topics: Collection[str]) -> dict[str, int]:
        looks.release()
        assert may_look.acquire(timeout=120)
        return {one: state[one] for one in topics}

    with closing(Pulse(ask, "test-pulse")) as pulse, pulse.follow(["t"]) as first:
        assert looks.acquire(timeout=120)
        may_look.release()
        assert first.wait(120) == {"t": 5}
        assert looks.acquire(timeout=120)  # who follows was counted, nothing is found yet
        with pulse.follow(["t"]) as late:
            state["t"] = 6
            may_look.release()
            assert first.wait(120) == {"t": 6}
            assert looks.acquire(timeout=120)
            assert late.wait(0) == {"t": 6}
            may_look.release(2)


def test_thread_that_cannot_start_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    with closing(Pulse(lambda _: {"t": 1}, "test-pulse")) as pulse:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError), pulse.follow(["t"]):
                pass
        with pulse.follow(["t"]) as follower:
            assert eventually(lambda: follower.wait(1), "it is told") == {"t": 1}
