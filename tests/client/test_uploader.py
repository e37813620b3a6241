"""What was logged arrives, once each, whatever happens on the way."""

from __future__ import annotations

import contextlib
import struct
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire import _uploader_loop
from runwire._artifact import Artifacts
from runwire._call import Caller
from runwire._connect import Connection
from runwire._errors import (
    NotFoundError,
    RunwireError,
)
from runwire._journal import Journal, RunLog
from runwire._journal_files import boot_id
from runwire._journal_refused import read_refused
from runwire._journal_segments import FIRST_SEGMENT_BYTES
from runwire._journal_status import RUN_STOP_REQUESTED
from runwire._run import Runs
from runwire._uploader_loop import Patience
from runwire.v1.run_pb2 import Run

from client.deliveries import (
    OFFLINE,
    Points,
    deliver,
    new_id,
    new_run,
    now_micros,
    stored,
    uploader,
)

# Anything, in any order, over any failures ----------------------------------------

KEYS = [f"m{number}" for number in range(6)]
VALUES = st.floats(width=64)
ROW = st.tuples(
    st.just("row"),
    st.integers(0, 1),
    st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1),
    st.integers(1, 40),
)
MANY = st.tuples(st.just("many"), st.integers(0, 1), st.integers(1, 30), st.integers(1, 4000))
WIDE = st.tuples(st.just("wide"), st.integers(0, 1), st.integers(500, 4000))
PARAM = st.tuples(
    st.just("param"), st.integers(0, 1), st.sampled_from("abc"), st.sampled_from("12")
)
TAG = st.tuples(
    st.just("tag"), st.integers(0, 1), st.sampled_from("abc"), st.sampled_from(["", "x", "y"])
)
ACTIONS = st.lists(st.one_of(ROW, ROW, MANY, WIDE, PARAM, TAG), max_size=25)
FAULTS = st.lists(
    st.sampled_from(["ok", "ok", "lost", "unheard", "late", "late", "large"]),
    min_size=4,
    max_size=25,
)


class Model:
    """What a run should hold in the end."""

    def __init__(self) -> None:
        self.points: dict[str, Points] = {}
        self.params: dict[str, str] = {}
        self.tags: dict[str, str] = {}

    def add(self, metrics: dict[str, float], step: int, time: int) -> None:
        for key, value in metrics.items():
            one = (step, time, struct.pack("d", value))
            self.points.setdefault(key, Counter())[one] += 1


def act(run: RunLog, model: Model, action: tuple[Any, ...], number: int) -> None:
    match action:
        case ("row", _, metrics, repeats):
            for time in range(repeats):
                run.log_metrics(metrics, number, time)
                model.add(metrics, number, time)
        case ("many", _, keys, rows):
            metrics = {f"many{key}": float(key) for key in range(keys)}
            for time in range(rows):
                run.log_metrics(metrics, number, time)
            for key, value in metrics.items():
                packed = struct.pack("d", value)
                points = model.points.setdefault(key, Counter())
                points.update((number, time, packed) for time in range(rows))
        case ("wide", _, keys):
            metrics = {f"wide/{key}": key / 3 for key in range(keys)}
            run.log_metrics(metrics, number, 0)
            model.add(metrics, number, 0)
        case ("param", _, key, value):
            run.log_params({key: value})
            model.params.setdefault(key, value)
        case ("tag", _, key, value):
            if value:
                run.set_tags({key: value})
                model.tags[key] = value
            else:
                run.remove_tags([key])
                model.tags.pop(key, None)


@settings(max_examples=60)
@given(ACTIONS, FAULTS, st.integers(1, 3), st.sampled_from([16 << 10, 64 << 10, 1 << 20]))
def test_anything_arrives_exactly_once_over_any_failures(
    connection: Connection,
    tmp_path_factory: pytest.TempPathFactory,
    actions: list[tuple[Any, ...]],
    faults: list[str],
    between_lives: int,
    max_batch_bytes: int,
) -> None:
    journal = Journal.open(tmp_path_factory.mktemp("j"), "unused", settings=OFFLINE)
    logs, models = [new_run(journal), new_run(journal)], [Model(), Model()]
    left = list(enumerate(actions))

    def log_some() -> None:
        for number, action in left[:between_lives]:
            act(logs[action[1]], models[action[1]], action, number)
        del left[:between_lives]

    script = list(faults)
    while left:
        deliver(
            journal.directory,
            connection,
            script,
            before_each_life=log_some,
            max_batch_bytes=max_batch_bytes,
        )
    for log in logs:
        log.finish("FINISHED", now_micros())
    journal.close()
    deliver(journal.directory, connection, script, max_batch_bytes=max_batch_bytes)
    runs = Runs(Caller(connection))
    for log, model in zip(logs, models, strict=True):
        assert stored(connection, log.run_id) == model.points
        found = runs.get(log.run_id)
        assert found.state == Run.STATE_FINISHED
        assert dict(found.params) == model.params
        assert dict(found.tags) == model.tags


# One failure at a time ---------------------------------------------------------------


def test_a_batch_that_is_committed_late_is_noticed_and_not_sent_twice(
    connection: Connection, journal: Journal
) -> None:
    run, step = new_run(journal), 0

    def log_more() -> None:
        nonlocal step
        for _ in range(100):
            step += 1
            run.log_metrics({"loss": 0.5}, step, step)

    assert deliver(journal.directory, connection, ["late"], before_each_life=log_more) == 2
    packed = struct.pack("d", 0.5)
    assert stored(connection, run.run_id)["loss"] == Counter(
        (number, number, packed) for number in range(1, step + 1)
    )
    log = (journal.directory / "uploader.log").read_text()
    assert "going on from there" in log


def test_segments_are_deleted_once_they_are_acknowledged(
    connection: Connection, journal: Journal
) -> None:
    run = new_run(journal)
    for step in range(60_000):
        run.log_metrics({"loss": 1.0, "acc": 2.0}, step, step)
    before = len(list(journal.directory.glob("*.seg")))
    deliver(journal.directory, connection, [])
    assert before > len(list(journal.directory.glob("*.seg"))) == 1
    assert journal.status.acknowledged == journal.segments.position
    assert journal.status.synced > 0 or journal.status.trimmed > 0
    run.log_metrics({"loss": 1.0, "acc": 2.0}, 60_000, 0)  # its keys were declared in a lost one
    deliver(journal.directory, connection, [])
    assert stored(connection, run.run_id)["acc"].total() == 60_001


def test_a_file_comes_with_its_run_and_before_its_end(
    connection: Connection, journal: Journal, runs: Runs, tmp_path: Path
) -> None:
    run = new_run(journal)
    run.log_artifact_bytes(b"x" * 100_000, "models/model.bin")
    (tmp_path / "plain.txt").write_text("kept")
    run.log_artifact_file(tmp_path / "plain.txt", "plain.txt", copy=False)
    run.finish("FINISHED", now_micros())
    deliver(journal.directory, connection, [])
    artifacts = Artifacts(Caller(connection))
    assert [one.path for one in artifacts.list(run.run_id, recursive=True)] == [
        "models/model.bin",
        "plain.txt",
    ]
    assert artifacts.download(run.run_id, "models/model.bin").read() == b"x" * 100_000
    assert runs.get(run.run_id).state == Run.STATE_FINISHED
    assert list((journal.directory / "artifacts").iterdir()) == []
    assert (tmp_path / "plain.txt").exists()


def test_of_files_for_one_path_the_last_stays_and_others_need_not_go_up(
    connection: Connection, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    put = Artifacts.put

    def counted(self: Artifacts, run_id: str, content: Any, path: str, **options: Any) -> Any:
        sent.append(path)
        return put(self, run_id, content, path, **options)

    monkeypatch.setattr(Artifacts, "put", counted)
    run = new_run(journal)
    for number in range(100):
        run.log_artifact_bytes(f"{number}".encode(), "table.json")
        run.log_artifact_bytes(b"x", f"{number % 3}.txt")
    deliver(journal.directory, connection, [])
    artifacts = Artifacts(Caller(connection))
    assert artifacts.download(run.run_id, "table.json").read() == b"99"
    assert len(artifacts.list(run.run_id).page().artifacts) == 4
    assert len(sent) < 50, "the reader may be behind the senders, but not for long"
    assert list((journal.directory / "artifacts").iterdir()) == []


def test_a_file_that_is_gone_is_reported_and_stops_nothing(
    connection: Connection, journal: Journal, runs: Runs, tmp_path: Path
) -> None:
    run = new_run(journal)
    run.log_artifact_file(tmp_path / "never.txt", "never.txt", copy=False)
    run.finish("FINISHED", now_micros())
    deliver(journal.directory, connection, [])
    assert journal.status.rejected_entries == 1
    assert runs.get(run.run_id).state == Run.STATE_FINISHED


def test_order_of_set_and_remove_of_a_tag_is_kept(
    connection: Connection, journal: Journal, runs: Runs
) -> None:
    run = new_run(journal)
    run.set_tags({"a": "1", "b": "1", "c": "1"})
    run.remove_tags(["a", "b"])
    run.set_tags({"b": "2"})
    deliver(journal.directory, connection, [])
    assert dict(runs.get(run.run_id).tags) == {"b": "2", "c": "1"}


def test_a_second_value_of_a_param_is_reported_and_the_first_stays(
    connection: Connection, journal: Journal, runs: Runs
) -> None:
    run = new_run(journal)
    run.log_params({"lr": "0.1"})
    run.log_params({"lr": "0.1"})
    run.log_params({"lr": "0.2", "batch": "8"})
    deliver(journal.directory, connection, [])
    assert dict(runs.get(run.run_id).params) == {"lr": "0.1", "batch": "8"}
    assert journal.status.rejected_entries == 1
    assert "PARAM_CONFLICT" in (journal.directory / "uploader.log").read_text()


def test_a_value_that_no_batch_can_take_is_reported_and_stops_nothing(
    connection: Connection, journal: Journal, runs: Runs
) -> None:
    run = new_run(journal)
    run.set_tags({"before": "1", "huge": "x" * (2 << 20), "after": "1"})
    deliver(journal.directory, connection, [])
    assert dict(runs.get(run.run_id).tags) == {"before": "1", "after": "1"}
    assert journal.status.rejected_entries == 1


def test_dropped_points_are_shown_on_the_run(
    connection: Connection, tmp_path: Path, runs: Runs
) -> None:
    tiny = OFFLINE._replace(quota_bytes=2 * FIRST_SEGMENT_BYTES, when_full="drop")
    journal = Journal.open(tmp_path, "unused", settings=tiny)
    run = new_run(journal)
    for step in range(20_000):
        run.log_metrics({"loss": 1.0}, step, step)
    run.finish("FINISHED", now_micros())
    journal.close()
    deliver(journal.directory, connection, [])
    arrived = stored(connection, run.run_id)["loss"].total()
    assert runs.get(run.run_id).tags["runwire.dropped_points"] == str(20_000 - arrived)


def test_a_stop_that_somebody_asked_for_is_seen_by_the_trainer(
    connection: Connection, journal: Journal, runs: Runs
) -> None:
    run = new_run(journal)
    deliver(journal.directory, connection, [])
    assert not run.stop_requested
    runs.stop(run.run_id)
    run.log_metrics({"loss": 1.0}, 1)
    deliver(journal.directory, connection, [])
    assert journal.status.run_flags(0) & RUN_STOP_REQUESTED
    assert run.stop_requested


def test_after_a_power_cut_what_lost_its_pages_is_left_out(
    connection: Connection, tmp_path: Path, runs: Runs
) -> None:
    journal = Journal.open(tmp_path, "unused", settings=OFFLINE)
    run = new_run(journal)
    row = {f"m{number}": 1.0 for number in range(20)}
    for step in range(1000):
        run.log_metrics(row, step, step)
    journal.segments.view[20 * 4096 : 40 * 4096] = bytes(20 * 4096)
    journal.close()
    meta = journal.directory / "meta.json"
    meta.write_text(meta.read_text().replace(boot_id(), "another boot"))
    deliver(journal.directory, connection, [])
    found = stored(connection, run.run_id)
    steps = {step for step, _, _ in found["m0"]}
    assert 0 < len(steps) == max(steps) + 1 < 20 * 4096 // 184 + 1
    packed = struct.pack("d", 1.0)
    assert all(value == packed for key in found for _, _, value in found[key])
    assert runs.get(run.run_id).state == Run.STATE_KILLED
    assert "is lost" in (journal.directory / "uploader.log").read_text()


# Runs that end, are resumed, joined, or taken away -----------------------------------


def test_a_finished_run_is_resumed_by_attaching_to_it(
    connection: Connection, tmp_path: Path, runs: Runs
) -> None:
    first = Journal.open(tmp_path, "unused", settings=OFFLINE)
    run = new_run(first)
    run.log_metrics({"loss": 1.0}, 1, 1)
    run.finish("FAILED", now_micros())
    first.close()
    deliver(first.directory, connection, [])
    second = Journal.open(tmp_path, "unused", settings=OFFLINE)
    again = second.attach_run(run.run_id)
    again.log_metrics({"loss": 2.0}, 2, 2)
    deliver(second.directory, connection, [])
    assert runs.get(run.run_id).state == Run.STATE_RUNNING
    again.finish("FINISHED", now_micros())
    second.close()
    deliver(second.directory, connection, [])
    assert runs.get(run.run_id).state == Run.STATE_FINISHED
    assert stored(connection, run.run_id)["loss"].total() == 2


def test_one_journal_may_finish_and_resume_a_run_again_and_again(
    connection: Connection, journal: Journal, runs: Runs
) -> None:
    run = new_run(journal)
    for step in range(5):
        run.log_metrics({"loss": 1.0}, step, step)
        run.finish("FINISHED", now_micros())
        run = journal.attach_run(run.run_id)
    run.finish("KILLED", now_micros())
    deliver(journal.directory, connection, ["unheard", "lost", "ok", "late"])
    assert stored(connection, run.run_id)["loss"].total() == 5
    assert runs.get(run.run_id).state == Run.STATE_KILLED


def test_who_joins_a_finished_run_leaves_it_as_it_was_found(
    connection: Connection, tmp_path: Path, runs: Runs
) -> None:
    first = Journal.open(tmp_path, "unused", settings=OFFLINE)
    run = new_run(first)
    run.finish("FAILED", 1_700_000_000_000_000)
    first.close()
    deliver(first.directory, connection, [])
    second = Journal.open(tmp_path, "unused", settings=OFFLINE)
    joined = second.attach_run(run.run_id, resume=False)
    joined.log_metrics({"loss": 1.0}, 1, 1)
    second.close()
    deliver(second.directory, connection, [])
    found = runs.get(run.run_id)
    assert found.state == Run.STATE_FAILED
    assert found.end_time.ToMicroseconds() == 1_700_000_000_000_000
    assert stored(connection, run.run_id)["loss"].total() == 1


def test_data_of_a_run_that_was_ended_by_somebody_else_arrives_all_the_same(
    connection: Connection, journal: Journal, runs: Runs
) -> None:
    run = new_run(journal)
    run.log_metrics({"loss": 1.0}, 1, 1)
    deliver(journal.directory, connection, [])
    runs.finish(run.run_id, "KILLED")
    run.log_metrics({"loss": 2.0}, 2, 2)
    run.finish("FINISHED", now_micros())
    deliver(journal.directory, connection, [])
    assert stored(connection, run.run_id)["loss"].total() == 2
    assert runs.get(run.run_id).state == Run.STATE_FINISHED


def test_a_run_left_open_by_a_journal_that_was_closed_has_failed(
    connection: Connection, journal: Journal, runs: Runs
) -> None:
    run = new_run(journal)
    run.log_metrics({"loss": 1.0}, 1)
    journal.close()
    deliver(journal.directory, connection, ["unheard"])
    assert runs.get(run.run_id).state == Run.STATE_FAILED


def test_the_end_that_another_writer_gave_a_run_stands_against_a_guess(
    connection: Connection, journal: Journal, runs: Runs
) -> None:
    run = new_run(journal)
    deliver(journal.directory, connection, [])
    runs.finish(run.run_id, "FINISHED")
    journal.close()  # without a word on the run
    deliver(journal.directory, connection, [])
    assert runs.get(run.run_id).state == Run.STATE_FINISHED


def test_a_refused_run_keeps_its_data_and_the_others_go_on(
    connection: Connection, journal: Journal, runs: Runs
) -> None:
    bad, good = new_run(journal), new_run(journal)
    for run in (bad, good):
        run.log_metrics({"loss": 1.0}, 1, 1)
    deliver(journal.directory, connection, [])
    runs.delete(bad.run_id)
    for run in (bad, good):
        run.log_metrics({"loss": 2.0}, 2, 2)
        run.finish("FINISHED", now_micros())
    assert not uploader(journal.directory, connection, []).run()
    assert runs.get(good.run_id).state == Run.STATE_FINISHED
    assert stored(connection, good.run_id)["loss"].total() == 2
    assert list(read_refused(journal.directory)) == [bad.run_id]
    journal.settings = journal.settings._replace(uploader="process")
    with pytest.raises(RunwireError, match=bad.run_id):
        journal.flush(1.0)
    runs.restore(bad.run_id)
    deliver(journal.directory, connection, [])
    assert stored(connection, bad.run_id)["loss"].total() == 2
    assert runs.get(bad.run_id).state == Run.STATE_FINISHED
    assert not read_refused(journal.directory)
    journal.settings = OFFLINE


def test_a_run_in_a_deleted_experiment_is_refused_once_and_kept(
    connection: Connection, journal: Journal
) -> None:
    run_id = new_id()
    run = journal.create_run(run_id, {"run": {"run_id": run_id, "experiment_id": "424242"}})
    run.log_metrics({"loss": 1.0}, 1)
    assert not uploader(journal.directory, connection, []).run()
    assert "424242" in read_refused(journal.directory)[run_id]
    assert (journal.directory / "uploader.log").read_text().count("refuses") == 1
    with pytest.raises(NotFoundError):
        Runs(Caller(connection)).get(run_id)


def test_job_that_logs_nothing_is_heard_of_while_it_lives(
    connection: Connection, journal: Journal, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_uploader_loop, "HEARTBEAT_S", 0.01)
    run = new_run(journal)
    living = uploader(journal.directory, connection, [], patience=Patience())
    thread = threading.Thread(target=living.run)
    thread.start()
    heard = set[int]()
    while len(heard) < 3:
        with contextlib.suppress(NotFoundError):
            heard.add(runs.get(run.run_id).heartbeat_time.ToMicroseconds())
    journal.close()
    thread.join()
    assert runs.get(run.run_id).state == Run.STATE_FAILED
