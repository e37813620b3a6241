"""A machine that is out of disk, descriptors or processes, and threads that come between:
the job goes on, and what is stored arrives under its own name or not at all."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from runwire._connect import Connection
from runwire._errors import FailedPreconditionError
from runwire._journal import Journal, JournalSettings, RunLog, open_journals
from runwire._journal_format import DROPPED
from runwire._journal_reader import Definitions

from client.deliveries import OFFLINE, deliver, new_id, new_run, stored
from client.journal_content import content

Fails = Callable[..., Any]


def failing(error: Exception) -> Fails:
    def fail(*_arguments: object, **_options: object) -> Any:
        raise error

    return fail


NO_SPACE = OSError(errno.ENOSPC, "No space left on device")
NO_DESCRIPTOR = OSError(errno.EMFILE, "Too many open files")
NO_THREAD = RuntimeError("can't start new thread")
NO_PROCESS = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


@pytest.fixture
def run(journal: Journal) -> RunLog:
    return new_run(journal)


@pytest.fixture(autouse=True)
def _no_journal_is_left() -> Iterator[None]:
    before = set(open_journals())
    yield
    for one in open_journals():
        if one not in before:
            one.close()


class Number:
    """A value that something happens in, the first time that it is looked at."""

    def __init__(self, value: float, happens: Callable[[], object]):
        self._value, self._happens = value, [happens]

    def __float__(self) -> float:
        if self._happens:
            self._happens.pop()()
        return self._value


def folders(base: Path) -> set[Path]:
    return {path for path in base.iterdir() if path.is_dir()}


def values(directory: Path) -> list[tuple[tuple[str, ...], tuple[float, ...]]]:
    return [(row[0], row[3]) for row in content(directory).rows]


# Runs that find no room -----------------------------------------------------------


def fail_to_create(journal: Journal, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing(NO_SPACE))
        with pytest.raises(OSError, match="no room"):
            new_run(journal, run_id)


def test_a_run_that_found_no_room_takes_no_number_from_the_others(
    journal: Journal, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, refused, last = new_id(), new_id(), new_id()
    new_run(journal, first).log_metrics({"m": 1.0}, 1, 1)
    fail_to_create(journal, refused, monkeypatch)
    new_run(journal, last).log_metrics({"m": 2.0}, 2, 2)
    new_run(journal, refused).log_metrics({"m": 3.0}, 3, 3)  # there is room again
    journal.close()
    definitions = Definitions(journal.directory)
    definitions.refresh()
    assert definitions.runs == [first, "", last, refused]
    deliver(journal.directory, connection, [])
    for number, run_id in enumerate((first, last, refused), 1):
        ((step, _, _),) = stored(connection, run_id)["m"]
        assert step == number


def test_a_number_without_a_run_is_an_error_where_it_is_read(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_create(journal, new_id(), monkeypatch)
    known = new_run(journal).run_id
    definitions = Definitions(journal.directory)
    assert definitions.run_id(1) == known
    for number in (0, 2):
        with pytest.raises(KeyError, match="not defined"):
            definitions.run_id(number)


def test_a_journal_whose_only_run_found_no_room_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.open(tmp_path, "unused", settings=OFFLINE)
    fail_to_create(journal, new_id(), monkeypatch)
    journal.close()
    assert folders(tmp_path) == set()


# A run that is attached elsewhere in the middle of a call --------------------------


def inherit_with_keys(journal: Journal, run: RunLog, *keys: str) -> Path:
    """As in a child of a fork; the keys have the schemas 1, 2, … of the parent's journal."""
    for key in keys:
        run.log_metric(key, 0.0, 0)
    journal.disown()
    return journal.directory


@pytest.mark.parametrize("many", [True, False], ids=["log_metrics", "log_metric"])
def test_a_row_keeps_its_key_when_another_thread_attaches_the_run(
    journal: Journal, run: RunLog, many: bool
) -> None:
    parents = inherit_with_keys(journal, run, "loss", "auc")
    loss: Any = Number(123.0, lambda: run.log_metric("auc", 0.5, 1))
    if many:
        run.log_metrics({"loss": loss}, 1)
    else:
        run.log_metric("loss", loss, 1)
    assert values(run.journal.directory) == [(("auc",), (0.5,)), (("loss",), (123.0,))]
    assert values(parents) == [(("loss",), (0.0,)), (("auc",), (0.0,))]


def test_a_row_at_the_slow_door_keeps_its_key_when_its_journal_is_given_up(
    journal: Journal, run: RunLog
) -> None:
    def give_up() -> None:
        journal.disown()
        run.log_metric("auc", 0.5, 1)

    run.log_metric("loss", 0.0, 0)
    loss: Any = Number(123.0, give_up)
    journal.segments.limit = -1  # as where a segment ends
    run.log_metric("loss", loss, 1)
    assert values(run.journal.directory) == [(("auc",), (0.5,)), (("loss",), (123.0,))]
    assert values(journal.directory) == [(("loss",), (0.0,))]


class Interrupted(RunLog):
    """Another thread logs after every step of an attachment."""

    __slots__ = ()
    steps: ClassVar[list[str] | None] = None

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if self.steps is not None:
            self.steps.append(name)
            self.log_metrics({"loss": 7.0}, 7)


def test_a_row_keeps_its_key_between_any_two_steps_of_an_attachment(
    journal: Journal, run: RunLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    inherit_with_keys(journal, run, "auc", "loss")
    interrupted = Interrupted.__new__(Interrupted)
    for name in RunLog.__slots__:
        setattr(interrupted, name, getattr(run, name))
    steps: list[str] = []
    monkeypatch.setattr(Interrupted, "steps", steps)
    interrupted.log_metrics({"auc": 0.5}, 1)
    assert len(steps) > 1
    found = values(interrupted.journal.directory)
    assert found.count((("loss",), (7.0,))) == len(steps)
    assert found.count((("auc",), (0.5,))) == 1
    assert len(found) == len(steps) + 1


# Descriptors that belong to somebody else by now -----------------------------------


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A file of somebody else that is opened with a number that was free."""
    taken: list[int] = []

    def take(descriptor: int) -> Path:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
        path = tmp_path / "checkpoint"
        opened = os.open(path, os.O_WRONLY | os.O_CREAT)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
        taken.append(descriptor)
        return path

    yield take
    for descriptor in taken:
        os.close(descriptor)


def test_a_key_that_comes_with_the_close_goes_to_no_other_file(
    journal: Journal, run: RunLog, stranger: Callable[[int], Path]
) -> None:
    descriptor = journal._definitions
    paths: list[Path] = []

    def close() -> None:
        journal.close()
        paths.append(stranger(descriptor))

    late: Any = Number(1.0, close)
    with pytest.raises(FailedPreconditionError, match="closed"):
        run.log_metrics({"late": late}, 1)
    with pytest.raises(FailedPreconditionError, match="closed"):
        new_run(journal)
    assert paths[0].read_bytes() == b""


def test_a_fork_after_a_journal_was_given_up_closes_no_other_file(
    journal: Journal, run: RunLog, stranger: Callable[[int], Path]
) -> None:
    descriptor = journal._definitions
    journal.disown()
    stranger(descriptor)
    pid = os.fork()
    if pid == 0:
        try:
            os.fstat(descriptor)
        except OSError:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


# Out of descriptors, processes, threads --------------------------------------------


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("runwire._journal.hold_lock", NO_DESCRIPTOR),
        ("runwire._uploader_start.start_uploader", NO_THREAD),
        ("runwire._uploader_start.start_uploader", NO_PROCESS),
    ],
)
def test_a_job_goes_on_where_no_uploader_can_be_started(
    tmp_path: Path,
    where: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    started: list[Path] = []

    def start(directory: Path, **_options: object) -> Callable[[], bool]:
        started.append(directory)
        return lambda: True

    monkeypatch.setattr("runwire._uploader_start.start_uploader", start)
    journal = Journal.open(tmp_path, "unused", settings=JournalSettings(uploader="process"))
    calls: list[Callable[[RunLog], None]] = [
        lambda run: run.log_metrics({"new": 1.0}, 1),
        lambda run: run.log_params({"a": "1"}),
        lambda run: run.finish("FINISHED", 1),
    ]
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, logger="runwire"):
        patch.setattr(where, failing(error))
        run = new_run(journal)
        for call in calls:
            journal._uploader_check_at = 0.0  # as if its interval had passed
            call(run)
    assert started == []
    assert sum("no uploader" in line for line in caplog.messages) == 1
    assert len(content(journal.directory).control) == 3
    journal._uploader_check_at = 0.0
    run.set_tags({"later": "yes"})
    assert started == [journal.directory]
    journal.close()


def test_a_journal_that_cannot_be_opened_leaves_neither_folder_nor_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open(tmp_path, os.O_RDONLY)  # the lowest free number
    os.close(opened)
    monkeypatch.setattr("runwire._journal_segments.Segments.open_first", failing(NO_SPACE))
    with pytest.raises(OSError, match="No space left"):
        Journal.open(tmp_path, "unused", settings=OFFLINE)
    assert folders(tmp_path) == set()
    again = os.open(tmp_path, os.O_RDONLY)
    os.close(again)
    assert again == opened


# A child of a fork without room for a journal of its own ---------------------------


@pytest.mark.parametrize("missing", ["posix_fallocate", "write"])
def test_a_child_without_room_goes_on_counts_and_tells_it_later(
    journal: Journal,
    run: RunLog,
    missing: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    parents = inherit_with_keys(journal, run, "loss")
    before = content(parents)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, logger="runwire"):
        patch.setattr(os, missing, failing(NO_SPACE))
        run.log_metrics({"loss": 1.0}, 1)
        run.log_metric("new", 1.0, 2)
        journal._successor_at = 0.0  # as if its interval had passed
        run.log_metrics({"loss": 1.0, "new": 2.0}, 3)
        run.log_params({"a": "1"})
        run.finish("FINISHED", 1)
        with pytest.raises(TypeError, match="loss"):
            run.log_metrics({"loss": "high"}, 4)  # type: ignore[dict-item]
        with pytest.raises(OSError, match="no journal"):
            run.log_artifact_bytes(b"text", "notes.txt")
    assert folders(journal.base) == {parents}
    assert sum("what is logged is dropped" in line for line in caplog.messages) == 1
    assert sum("an event was dropped" in line for line in caplog.messages) == 2
    assert (content(parents).rows, content(parents).control) == (before.rows, before.control)
    journal._successor_at = 0.0
    run.log_metrics({"loss": 5.0}, 5)
    found = content(run.journal.directory)
    assert [row[:2] for row in found.rows] == [(("loss",), 5)]
    told = [payload for kind, payload in found.control if kind == DROPPED]
    assert told == [{"run": 0, "points": 4}]


def test_a_child_without_room_asks_again_at_intervals_only(
    journal: Journal, run: RunLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    inherit_with_keys(journal, run, "loss")
    asked: list[float] = []
    moment = 1000.0

    def fail(*_arguments: object, **_options: object) -> Any:
        asked.append(moment)
        raise NO_SPACE

    # The clock of this module alone: event loops of other tests would sleep for hours by it.
    clock = SimpleNamespace(monotonic=lambda: moment)
    monkeypatch.setattr("runwire._journal.time", clock)
    monkeypatch.setattr("runwire._journal.Journal.open", fail)
    while moment < 1300.0:
        run.log_metrics({"loss": 1.0}, 1)
        moment += 0.125
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_a_forked_child_leaves_what_its_parent_dropped_to_the_parent(
    journal: Journal, run: RunLog
) -> None:
    journal.count_dropped(0, 7)
    pid = os.fork()
    if pid == 0:
        try:
            run.log_metrics({"a": 1.0}, 1)
        finally:
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    (child,) = folders(journal.base) - {journal.directory}
    assert DROPPED not in [kind for kind, _ in content(child).control]
