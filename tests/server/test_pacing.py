"""Who is asked to send less often."""

from __future__ import annotations

import pytest
from runwire_server.metrics import pacing
from runwire_server.metrics.pacing import BATCHES_PER_S, MAX_LINGER_S, SMALL_BYTES, Pacing


def heard(runs: int, size_bytes: int = 1000) -> Pacing:
    found = Pacing()
    found.note({f"run{number}": size_bytes for number in range(runs)})
    return found


def test_few_runs_send_as_often_as_they_like() -> None:
    assert heard(BATCHES_PER_S // 10 - 1).interval_s("run0") == 0.0


def test_many_runs_are_asked_to_wait_so_that_their_batches_keep_to_a_rate() -> None:
    assert heard(4 * BATCHES_PER_S).interval_s("run0") == 4.0


def test_the_more_runs_the_longer_their_batches_gather_within_a_bound() -> None:
    few, some, many = heard(1), heard(BATCHES_PER_S), heard(100 * BATCHES_PER_S)
    assert few.linger_s() == 0.0
    assert 0.0 < some.linger_s() < many.linger_s() == MAX_LINGER_S


def test_who_has_much_to_say_is_not_held_up_by_many_others() -> None:
    many = heard(4 * BATCHES_PER_S)
    many.note({"long": SMALL_BYTES})
    assert many.interval_s("long") == 0.0


def test_runs_that_fell_silent_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    many = heard(4 * BATCHES_PER_S)
    monkeypatch.setattr(pacing, "ACTIVE_S", -1.0)
    many.note({"late": 1})
    assert many.interval_s("late") == 0.0
