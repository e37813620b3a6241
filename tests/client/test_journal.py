"""What the training process is promised: stored when it returns, bounded, never torn."""

from __future__ import annotations

import math
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runwire._errors import FailedPreconditionError, InvalidArgumentError
from runwire._journal import Journal, JournalSettings, RunLog
from runwire._journal_format import PARAMS, header_word
from runwire._journal_reader import JournalReader
from runwire._journal_run import MAX_KEY_SETS
from runwire._journal_segments import FIRST_SEGMENT_BYTES
from runwire._journal_status import Status

from client.deliveries import OFFLINE
from client.journal_content import Row, content

RUN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def run(journal: Journal) -> RunLog:
    return journal.create_run(RUN, {"run": {"run_id": RUN}})


def bits(rows: list[Row]) -> list[tuple[Any, ...]]:
    """Rows with values as bytes: NaN is not equal to itself."""
    return [(k, s, t, struct.pack(f"{len(v)}d", *v)) for k, s, t, v in rows]


METRICS = st.dictionaries(
    st.sampled_from([f"m{number}" for number in range(8)]), st.floats(width=64), min_size=1
)
ROWS = st.lists(
    st.tuples(METRICS, st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 7)), max_size=30
)


@given(ROWS, st.integers(1, 2000))
def test_every_row_is_read_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], chunk_bytes: int
) -> None:
    journal = Journal.open(tmp_path_factory.mktemp("j"), "unused", settings=OFFLINE)
    run = journal.create_run(RUN, {})
    expected: list[Row] = []
    for metrics, step, repeats in rows:
        for time in range(repeats):
            run.log_metrics(metrics, step, time)
            expected.append((tuple(metrics), step, time, tuple(metrics.values())))
    found = content(journal.directory, chunk_bytes).rows
    for keys in {row[0] for row in expected}:
        assert bits([r for r in found if r[0] == keys]) == bits(
            [r for r in expected if r[0] == keys]
        )
    assert len(found) == len(expected)
    journal.close()


@pytest.mark.parametrize("keys", [1, 3, 20, 250])
def test_long_runs_of_rows_cross_segments_unharmed(
    journal: Journal, run: RunLog, keys: int
) -> None:
    count = 3 * FIRST_SEGMENT_BYTES // (8 * keys)
    names = [f"m{number}" for number in range(keys)]
    for step in range(count):
        run.log_metrics({name: step + n / 1000 for n, name in enumerate(names)}, step)
    assert len(list(journal.directory.glob("*.seg"))) > 1
    rows = content(journal.directory, 64 * 1024).rows
    assert [row[1] for row in rows] == list(range(count))
    assert all(row[3] == tuple(row[1] + n / 1000 for n in range(keys)) for row in rows)


@pytest.mark.parametrize(
    "value", [True, 7, 1 << 60, Fraction(1, 2), np.float32(0.5), np.int64(3), np.array(2.5)]
)
def test_numbers_of_all_kinds_are_taken(journal: Journal, run: RunLog, value: Any) -> None:
    run.log_metrics({"a": value}, np.int64(1))  # type: ignore[arg-type]
    assert content(journal.directory).rows[0][3] == (float(value),)


def test_nan_and_infinities_are_values(journal: Journal, run: RunLog) -> None:
    run.log_metrics({"a": math.nan, "b": math.inf, "c": -math.inf, "d": -0.0}, 0, 0)
    expected = (("a", "b", "c", "d"), 0, 0, (math.nan, math.inf, -math.inf, -0.0))
    assert bits(content(journal.directory).rows) == bits([expected])


@pytest.mark.parametrize("known", [False, True], ids=["new keys", "known keys"])
@pytest.mark.parametrize(
    ("metrics", "step", "error", "named"),
    [
        ({"a": 1.0, "b": "high"}, 0, TypeError, "'b'"),
        ({"a": 1.0, "b": None}, 0, TypeError, "'b'"),
        ({"a": 1j, "b": 1}, 0, TypeError, "'a'"),
        ({"a": 10**400, "b": 1}, 0, TypeError, "'a'"),
        ({"a": np.zeros(3), "b": 1}, 0, TypeError, "'a'"),
        ([("a", 1.0), ("b", 2.0)], 0, TypeError, "mapping"),
        (("a", "b"), 0, TypeError, "mapping"),
        ({"a": 1.0, "b": 2.0}, 1.5, TypeError, "step"),
        ({"a": 1.0, "b": 2.0}, None, TypeError, "step"),
        ({"a": 1.0, "b": 2.0}, 1 << 63, InvalidArgumentError, "step"),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_leaves_nothing(
    journal: Journal,
    run: RunLog,
    known: bool,
    metrics: Any,
    step: Any,
    error: type[Exception],
    named: str,
) -> None:
    if known:
        run.log_metrics({"a": 0.0, "b": 0.0}, 0)
    with pytest.raises(error, match=named):
        run.log_metrics(metrics, step)
    run.log_metrics({"z": 1.0}, 5)
    assert [row[0] for row in content(journal.directory).rows] == [("a", "b")] * known + [("z",)]


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("", InvalidArgumentError),
        ("x" * 513, InvalidArgumentError),
        ("ü" * 257, InvalidArgumentError),
        ("a\nb", InvalidArgumentError),
        ("\ud800", InvalidArgumentError),
        (5, TypeError),
    ],
)
def test_a_bad_key_is_refused_everywhere(
    journal: Journal, run: RunLog, key: Any, error: type[Exception]
) -> None:
    calls: list[Callable[[], None]] = [
        lambda: run.log_metrics({"good": 1.0, key: 1.0}, 0),
        lambda: run.log_params({key: "1"}),
        lambda: run.set_tags({key: "1"}),
        lambda: run.remove_tags([key]),
    ]
    for call in calls:
        with pytest.raises(error):
            call()
    assert not content(journal.directory).rows
    assert len(content(journal.directory).control) == 1  # the create


def test_a_long_key_of_512_bytes_is_taken(journal: Journal, run: RunLog) -> None:
    run.log_metrics({"ü" * 256: 1.0}, 0)
    assert content(journal.directory).rows[0][0] == ("ü" * 256,)


def test_a_record_cut_by_a_kill_does_not_exist(journal: Journal, run: RunLog) -> None:
    run.log_metrics({"a": 1.0}, 1)
    segments = journal.segments
    # As if the process had been killed between the body and its header word.
    segments.view[segments.offset + 8 : segments.offset + 32] = b"\x01" * 24
    assert [row[1] for row in content(journal.directory).rows] == [1]


def test_a_definition_cut_by_a_kill_is_read_once_it_is_whole(journal: Journal, run: RunLog) -> None:
    run.log_metrics({"a": 1.0}, 1)
    path = journal.directory / "schemas.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    reader = JournalReader(journal.directory)
    reader.definitions.refresh()
    assert not reader.definitions.schemas
    path.write_bytes(whole)
    assert reader.definitions.schema(1).keys == ("a",)


def test_a_reader_follows_a_writer_record_by_record(journal: Journal, run: RunLog) -> None:
    reader = JournalReader(journal.directory)
    assert reader.read(1) is not None  # the create
    for step in range(20_000):
        run.log_metrics({"a": float(step)}, step)
        if step % 1000 == 0:
            while (chunk := reader.read(1 << 16)) is not None:
                last = array("q", chunk.blocks[-1].steps)[-1]
            assert last == step


def test_threads_log_without_loss_each_in_its_order(journal: Journal, run: RunLog) -> None:
    def log(number: int) -> None:
        for step in range(3000):
            run.log_metrics({f"t{number}": float(step), "x": 1.0}, step)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = content(journal.directory, 1 << 16).rows
    for number in range(8):
        steps = [row[1] for row in rows if row[0][0] == f"t{number}"]
        assert steps == list(range(3000))


def test_a_signal_handler_may_log_in_the_middle_of_a_call(journal: Journal, run: RunLog) -> None:
    handled, busy = 0, False

    def handle(_signal: int, _frame: object) -> None:
        nonlocal handled, busy
        if not busy:
            busy = True
            run.log_metrics({"signal": float(handled)}, handled)
            handled, busy = handled + 1, False

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        logged = 0
        while handled < 300:
            run.log_metrics({"loss": float(logged), "acc": 1.0}, logged)
            logged += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    rows = content(journal.directory, 1 << 16).rows
    assert [row[1] for row in rows if row[0] == ("signal",)] == list(range(handled))
    assert [row[1] for row in rows if row[0] == ("loss", "acc")] == list(range(logged))


def test_ever_new_key_sets_stay_bounded(journal: Journal, run: RunLog) -> None:
    keys = [f"m{number}" for number in range(14)]
    for mask in range(1, MAX_KEY_SETS + 100):
        run.log_metrics({key: float(mask) for n, key in enumerate(keys) if mask >> n & 1}, mask)
    rows = content(journal.directory, 1 << 16).rows
    points = {(row[1], key) for row in rows for key in row[0]}
    assert points == {
        (mask, key)
        for mask in range(1, MAX_KEY_SETS + 100)
        for n, key in enumerate(keys)
        if mask >> n & 1
    }
    definitions = (journal.directory / "schemas.jsonl").read_text().count("\n")
    assert definitions <= 1 + MAX_KEY_SETS + len(keys)


def test_a_file_system_without_mappings_is_written_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot_map(*_arguments: object, **_options: object) -> None:
        raise OSError(19, "No such device")

    monkeypatch.setattr("mmap.mmap", cannot_map)
    journal = Journal.open(tmp_path, "unused", settings=OFFLINE)
    run = journal.create_run(RUN, {})
    reader = JournalReader(journal.directory)
    for step in range(12_000):
        run.log_metrics({"a": float(step)}, step)
    steps = []
    while (chunk := reader.read(1 << 16)) is not None:
        steps += [step for block in chunk.blocks for step in array("q", block.steps)]
    assert steps == list(range(12_000))
    assert journal.status.acknowledged == 0
    journal.close()


def test_a_read_only_folder_is_told_when_the_journal_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Journal.open(tmp_path / "file", "unused", settings=OFFLINE)


def test_an_unused_journal_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "unused", settings=OFFLINE)
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_logging_to_a_closed_journal_is_an_error(journal: Journal, run: RunLog) -> None:
    run.log_metrics({"a": 1.0}, 0)
    journal.close()
    with pytest.raises(FailedPreconditionError, match="closed"):
        run.log_metrics({"a": 1.0}, 1)
    with pytest.raises(FailedPreconditionError, match="closed"):
        run.log_params({"a": "1"})


def test_offline_flush_says_no_at_once(journal: Journal, run: RunLog) -> None:
    assert journal.flush(timeout_s=None) is False


def test_artifacts_are_copied_before_the_call_returns(
    journal: Journal, run: RunLog, tmp_path: Path
) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(b"first")
    run.log_artifact_file(source, "models/model.bin")
    run.log_artifact_bytes(b"text", "notes.txt")
    source.write_bytes(b"second")
    spooled = {path.read_bytes() for path in (journal.directory / "artifacts").iterdir()}
    assert spooled == {b"first", b"text"}
    payloads = [payload for _, payload in content(journal.directory).control[1:]]
    assert [payload["path"] for payload in payloads] == ["models/model.bin", "notes.txt"]


def test_a_missing_artifact_is_an_error_and_leaves_nothing(journal: Journal, run: RunLog) -> None:
    with pytest.raises(FileNotFoundError):
        run.log_artifact_file("missing.bin", "x")
    assert len(content(journal.directory).control) == 1
    assert list((journal.directory / "artifacts").iterdir()) == []


def test_a_forked_child_writes_a_journal_of_its_own(journal: Journal, run: RunLog) -> None:
    run.log_metrics({"a": 1.0}, 1)
    pid = os.fork()
    if pid == 0:
        try:
            run.log_metrics({"a": 2.0}, 2)
            run.log_params({"child": "yes"})
        finally:
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    run.log_metrics({"a": 3.0}, 3)
    assert [row[1] for row in content(journal.directory).rows] == [1, 3]
    (other,) = [path for path in journal.base.iterdir() if path != journal.directory]
    found = content(other)
    assert [row[1] for row in found.rows] == [2]
    assert PARAMS in [kind for kind, _ in found.control]
    assert JournalReader(other).definitions.run_id(0) == RUN


def test_a_fork_while_another_thread_logs_never_hangs(journal: Journal, run: RunLog) -> None:
    stop = threading.Event()

    def log() -> None:
        while not stop.is_set():
            run.log_metrics({"a": 1.0}, 1)

    thread = threading.Thread(target=log)
    thread.start()
    try:
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                try:
                    signal.alarm(20)
                    run.log_metrics({"b": 1.0}, 1)
                finally:
                    os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
    finally:
        stop.set()
        thread.join()


def test_a_pickled_run_is_a_new_writer_to_the_same_run(journal: Journal, run: RunLog) -> None:
    run.log_metrics({"a": 1.0}, 1)
    copy: RunLog = pickle.loads(pickle.dumps(run))
    copy.log_metrics({"a": 2.0}, 2)
    assert copy.run_id == RUN
    assert copy.journal.writer_id != journal.writer_id
    assert [row[1] for row in content(copy.journal.directory).rows] == [2]
    copy.journal.close()


def test_the_journal_loads_neither_grpc_nor_protobuf_nor_numpy() -> None:
    code = (
        "import sys, runwire._journal, runwire._journal_reader\n"
        "print(*(n for n in ('grpc', 'google.protobuf', 'numpy', 'asyncio') if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUNWIRE_JOURNAL_QUOTA", "much"),
        ("RUNWIRE_JOURNAL_FULL", "explode"),
        ("RUNWIRE_UPLOADER", "maybe"),
    ],
)
def test_a_bad_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidArgumentError, match=name):
        JournalSettings.from_environment({name: value})


def test_offline_mode_starts_no_uploader() -> None:
    assert JournalSettings.from_environment({"RUNWIRE_MODE": "offline"}).uploader == "off"


def test_status_values_do_not_touch_each_other(tmp_path: Path) -> None:
    status = Status.create(tmp_path / "status")
    status.acknowledged, status.trimmed, status.wanted = 5, 7, 9
    status.flag_run(3, 1)
    status.flag_run(3, 4)
    status.clear_run(3, 1)
    again = Status.open(tmp_path / "status")
    assert (again.acknowledged, again.trimmed, again.wanted) == (5, 7, 9)
    assert [again.run_flags(run) for run in range(2, 5)] == [0, 4, 0]


def test_header_words_hold_schema_and_length() -> None:
    assert header_word(3, 184) == 3 << 32 | 184
