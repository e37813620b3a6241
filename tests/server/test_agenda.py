"""When runs are folded and their frames removed."""

from __future__ import annotations

from runwire_server.metrics import agenda
from runwire_server.metrics.agenda import Act, Agenda, Task


def swept(idle_s: float = 30.0) -> Agenda:
    """An agenda behind its first sweep."""
    made = Agenda(idle_s)
    assert made.next(0.0)[0] == Task(Act.SWEEP)
    return made


def test_the_first_thing_is_to_look_for_what_was_left_behind() -> None:
    assert Agenda().next(0.0) == (Task(Act.SWEEP), 0.0)


def test_with_nothing_to_do_it_waits_for_a_note() -> None:
    assert swept().next(0.0) == (None, None)


def test_run_is_settled_once_it_is_idle() -> None:
    plan = swept()
    assert plan.note("a", 10, now=0.0)
    plan.note("b", 10, now=5.0)
    plan.note("a", 10, now=20.0)
    assert plan.next(20.0) == (None, 15.0)
    assert plan.next(35.0)[0] == Task(Act.SETTLE, "b")
    assert plan.next(49.0) == (None, 1.0)
    assert plan.next(50.0)[0] == Task(Act.SETTLE, "a")
    assert plan.next(50.0) == (None, None)


def test_much_is_folded_at_once_and_settled_when_idle() -> None:
    plan = swept()
    assert plan.note("a", agenda.FOLD_BYTES, now=0.0)
    assert plan.next(0.0)[0] == Task(Act.FOLD, "a")
    assert plan.next(0.0) == (None, 30.0)
    assert plan.next(30.0)[0] == Task(Act.SETTLE, "a")


def test_many_small_frames_are_folded_before_reads_suffer() -> None:
    plan = swept()
    for _ in range(agenda.FOLD_FRAMES - 1):
        plan.note("a", 1, now=0.0)
    assert plan.next(0.0) == (None, 30.0)
    plan.note("a", 1, now=0.0)
    assert plan.next(0.0)[0] == Task(Act.FOLD, "a")


def test_what_is_put_off_comes_when_its_time_has_come() -> None:
    plan = swept()
    plan.put(Task(Act.TRIM, "a"), when=100.0)
    plan.put(Task(Act.SWEEP), when=50.0)
    assert plan.next(0.0) == (None, 50.0)
    assert [plan.next(100.0)[0] for _ in range(2)] == [Task(Act.SWEEP), Task(Act.TRIM, "a")]
