"""Folding: nothing is lost, doubled or changed, whatever is folded and whenever it stops."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from drills.processes import eventually
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire.v1 import metric_service_pb2 as pb
from runwire_server import errors
from runwire_server.metrics import Engine, assembly, block_store, history, outstanding
from runwire_server.metrics.fold import Fold
from runwire_server.metrics.keys import key_id
from runwire_server.metrics.lease import LeaseLost, Leases
from runwire_server.metrics.window import Window
from runwire_server.store.database import Database
from runwire_server.store.tables import metric_block_parts, metric_blocks, metric_frames, runs

from server.batches import (
    KEYS,
    VALUES,
    batch,
    counted,
    fold,
    frame,
    new_run,
    points,
    responses,
    running,
    send,
    series,
    shrink,
    trim,
)

TESTS = Path(__file__).parent.parent
WHOLE = st.one_of(st.integers(-2, 2), st.sampled_from([-(1 << 63), (1 << 63) - 1, 1 << 40]))


@pytest.fixture
def engine(db: Database) -> Iterator[Engine]:
    with running(db) as engine:
        yield engine


@pytest.fixture
def run_id(db: Database) -> str:
    return new_run(db)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so low that a handful of points meets them all."""
    shrink(monkeypatch)


@st.composite
def sent_frames(draw: st.DrawFn) -> Any:
    width, rows = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    ids = draw(st.permutations(range(len(KEYS))))[:width]
    values = st.lists(VALUES, min_size=rows, max_size=rows)
    whole = st.lists(WHOLE, min_size=rows, max_size=rows)
    return frame({number: draw(values) for number in ids}, draw(whole), draw(whole))


SENDS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.lists(sent_frames(), max_size=3),
        st.sampled_from(["", "", "fold", "thorough", "trim"]),
    ),
    min_size=1,
    max_size=12,
)


def exact(engine: Engine, run_id: str, **fields: Any) -> dict[str, list[tuple[int, int, bytes]]]:
    """Every point of every series, its value by its bits."""
    select = pb.SeriesSelector(run_ids=[run_id])
    found: dict[str, list[tuple[int, int, bytes]]] = {}
    for message in responses(engine, pb.ReadSeriesRequest(select=select, **fields)):
        values = np.array(message.points.values, "<f8")
        bits = [value.tobytes() for value in values]
        rows = zip(message.points.steps, message.points.times_micros, bits, strict=True)
        found.setdefault(message.key, []).extend(rows)
    return found


@settings(max_examples=40)
@given(SENDS)
def test_folded_points_read_as_those_that_were_never_folded(
    db: Database, sends: list[tuple[str, list[Any], str]]
) -> None:
    folded, plain = new_run(db), new_run(db)
    sequences = dict.fromkeys("ab", 0)
    by_time = pb.ReadSeriesRequest.AXIS_TIME
    with pytest.MonkeyPatch.context() as patch, running(db) as engine:
        shrink(patch)
        for writer, frames, act in sends:
            sequences[writer] += 1
            for run_id in (folded, plain):
                sent = batch(sequences[writer], *frames)
                send(engine, run_id, sent, writer, KEYS)
            if act:
                fold(db, folded, thorough=act == "thorough")
                # Folding refreshes summaries, and sums round by where they were refreshed.
                engine.refresh(run_ids=[plain])
            if act == "trim":
                trim(db, folded)
        assert exact(engine, folded) == exact(engine, plain)
        assert exact(engine, folded, axis=by_time) == exact(engine, plain, axis=by_time)
        window = {"range_start": -1, "range_end": 2}
        assert exact(engine, folded, **window) == exact(engine, plain, **window)
        for key in KEYS.values():
            one, other = points(engine, folded, key), points(engine, plain, key)
            assert repr(one) == repr(other)
        assert repr(series(engine, folded)) == repr(series(engine, plain))


def wave(sequence: int, rows: int = 100, keys: int = 3) -> Any:
    """A batch of enough points for a key set of its own."""
    steps = range(sequence * rows, (sequence + 1) * rows)
    columns = {number: [number + step * 0.5 for step in steps] for number in range(keys)}
    return batch(sequence, frame(columns, steps))


def write(engine: Engine, run_id: str, *sequences: int, **shape: int) -> None:
    for sequence in sequences:
        send(engine, run_id, wave(sequence, **shape), names=KEYS)


def run_of(db: Database, run_id: str) -> Any:
    with db.read() as tx:
        return tx.execute(sa.select(runs).where(runs.c.run_id == run_id)).one()


def blocks_of(db: Database, run_id: str) -> list[tuple[int, int]]:
    """(rows, points) of the run's blocks."""
    with db.read() as tx:
        return [(row.rows, row.points) for row in block_store.listed(tx, run_id)]


# Crashes -----------------------------------------------------------------------------


def test_fold_killed_at_any_statement_loses_and_doubles_nothing(
    db: Database, engine: Engine, run_id: str
) -> None:
    write(engine, run_id, 1, 2)
    fold(db, run_id)
    write(engine, run_id, 3, 4)
    expected = exact(engine, run_id)
    command = [sys.executable, "-m", "server.fold_killed"]
    command += [db.url.render_as_string(hide_password=False), run_id]
    with subprocess.Popen(
        command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as folder:
        assert folder.stdin is not None
        assert folder.stdout is not None
        for limit in range(1, 200):
            print(limit, file=folder.stdin, flush=True)
            ended = int(folder.stdout.readline())
            assert exact(engine, run_id) == expected
            if ended == 0:
                break
            assert ended == -signal.SIGKILL
        folder.stdin.close()
    assert limit > 10
    assert run_of(db, run_id).folded_arrival == 4
    assert counted(db, metric_frames) == 0
    assert blocks_of(db, run_id) == [(400, 1200)]


def test_two_servers_that_fold_a_run_fold_it_once(db: Database, run_id: str) -> None:
    """Both think that it is theirs: as after a pause in which the other took it over."""
    with running(db) as engine:
        write(engine, run_id, *range(1, 6))
        engine.refresh()
        expected = exact(engine, run_id)
        leases = [Leases(db, patience_s=0.0) for _ in range(2)]
        barrier = threading.Barrier(2)
        failures: list[BaseException] = []

        def work(mine: Leases) -> None:
            try:
                while run_of(db, run_id).folded_arrival < 5:
                    mine.take(run_id)
                    barrier.wait(120)
                    with suppress(LeaseLost):
                        Fold(db, mine).step(run_id)
                    barrier.wait(120)
            except BaseException as error:
                failures.append(error)
                barrier.abort()

        threads = [threading.Thread(target=work, args=(mine,)) for mine in leases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert failures == []
        assert exact(engine, run_id) == expected
        assert sum(points for _, points in blocks_of(db, run_id)) == 1500


def test_lease_passes_to_another_only_once_its_owner_stands_still(
    db: Database, run_id: str
) -> None:
    """No clock is compared: what counts is that the epoch does not move while one watches."""
    owner, patient, impatient = Leases(db), Leases(db), Leases(db, patience_s=0.0)
    assert owner.take(run_id)
    assert not patient.take(run_id)
    assert not impatient.take(run_id)
    with db.write() as tx:
        assert owner.draw(tx, run_id, 3) == 0
    assert not impatient.take(run_id)  # it has just moved
    assert impatient.take(run_id)
    assert not patient.take(run_id)
    with pytest.raises(LeaseLost), db.write() as tx:
        owner.draw(tx, run_id, 1)
    with db.write() as tx:
        assert impatient.draw(tx, run_id, 1) == 3


def test_fold_waits_for_the_summaries(db: Database, engine: Engine, run_id: str) -> None:
    write(engine, run_id, 1)
    leases = Leases(db)
    assert leases.take(run_id)
    assert Fold(db, leases).step(run_id)
    assert run_of(db, run_id).folded_arrival == 0
    assert sum(one.points for one in series(engine, run_id)) == 300
    assert Fold(db, leases).step(run_id)
    assert run_of(db, run_id).folded_arrival == 1


# Shapes ------------------------------------------------------------------------------


def test_small_blocks_are_merged_as_they_become_many(
    db: Database, engine: Engine, run_id: str
) -> None:
    for sequence in range(1, 65):
        write(engine, run_id, sequence)
        fold(db, run_id)
        assert len(blocks_of(db, run_id)) <= 2 * assembly.FAN_IN
    assert sum(points for _, points in blocks_of(db, run_id)) == 64 * 300
    fold(db, run_id, thorough=True)
    assert blocks_of(db, run_id) == [(6400, 19200)]


def test_wide_rows_share_an_axis_and_few_parts(db: Database, engine: Engine, run_id: str) -> None:
    names = {number: f"wide/{number}" for number in range(20_000)}
    for sequence in (1, 2):
        row = frame({number: [sequence * 0.5] for number in names}, [sequence])
        send(engine, run_id, batch(sequence, row), names=names)
    fold(db, run_id, thorough=True)
    assert [rows for rows, _ in blocks_of(db, run_id)] == [2, 2, 2]  # 8,192 keys each
    assert points(engine, run_id, "wide/19999") == [(1, 1001, 0.5), (2, 1002, 1.0)]


def test_keys_that_come_alone_are_scattered_until_they_are_many(
    db: Database, engine: Engine, run_id: str
) -> None:
    names = {number: f"alone/{number}" for number in range(100)}
    single = [frame({number: [float(number)]}, [7]) for number in names]
    send(engine, run_id, batch(1, *single), names=names)
    fold(db, run_id)
    assert blocks_of(db, run_id) == [(100, 100)]
    assert points(engine, run_id, "alone/42") == [(7, 1007, 42.0)]
    often = frame({42: [0.5] * 200}, range(200))
    for sequence in range(2, 8):
        send(engine, run_id, batch(sequence, often), names=names)
        fold(db, run_id)
    fold(db, run_id, thorough=True)
    assert sorted(blocks_of(db, run_id)) == [(99, 99), (1201, 1201)]
    assert len(points(engine, run_id, "alone/42")) == 1201
    assert points(engine, run_id, "alone/41") == [(7, 1007, 41.0)]


def test_reads_of_a_range_fetch_only_blocks_that_reach_in(
    db: Database, engine: Engine, run_id: str
) -> None:
    for sequence in (1, 2, 3):
        write(engine, run_id, sequence)
        fold(db, run_id)
    with db.read() as tx:
        by_step = block_store.listed(tx, run_id, *Window(False, 250, 260).overlap(metric_blocks))
        by_time = block_store.listed(tx, run_id, *Window(True, 1399, None).overlap(metric_blocks))
    assert [row.step_min for row in by_step] == [200]
    assert [row.step_min for row in by_time] == [300]
    assert len(points(engine, run_id, "key1", range_start=250, range_end=260)) == 10


# Damage ------------------------------------------------------------------------------


def damage(db: Database, table: sa.Table, *where: Any) -> None:
    with db.write() as tx:
        data = tx.execute(sa.select(table.c.data).where(*where)).scalar_one()
        tx.execute(sa.update(table).where(*where).values(data=data[:-1] + bytes([data[-1] ^ 1])))


@pytest.mark.parametrize("table", [metric_blocks, metric_block_parts], ids=lambda t: str(t.name))
def test_damaged_block_is_reported_and_its_neighbours_are_readable(
    db: Database, engine: Engine, run_id: str, table: sa.Table
) -> None:
    for sequence in (1, 2, 3):
        write(engine, run_id, sequence)
        fold(db, run_id)
    trim(db, run_id)
    damage(db, table, table.c.block_no == 1)
    assert len(points(engine, run_id, "key1", range_end=200)) == 100
    assert len(points(engine, run_id, "key1", range_start=300)) == 100
    found: list[float] = []
    select = pb.SeriesSelector(run_ids=[run_id], keys=["key1"])
    with pytest.raises(errors.DataDamaged) as caught:
        found.extend(
            value
            for message in responses(engine, pb.ReadSeriesRequest(select=select))
            for value in message.points.values
        )
    assert len(found) == 200
    assert caught.value.metadata == {"run_id": run_id, "block": "1"}
    fold(db, run_id, thorough=True)  # the others are merged, it stays to be seen
    assert sorted(rows for rows, _ in blocks_of(db, run_id)) == [100, 200]
    with pytest.raises(errors.DataDamaged):
        points(engine, run_id, "key1")


def test_damaged_frame_is_kept_and_reported_after_the_others_are_folded(
    db: Database, engine: Engine, run_id: str
) -> None:
    write(engine, run_id, 1, 2, 3)
    damage(db, metric_frames, metric_frames.c.sequence == 2)
    fold(db, run_id)
    trim(db, run_id)
    assert counted(db, metric_frames) == 1
    assert len(points(engine, run_id, "key1", range_end=200)) == 100
    with pytest.raises(errors.DataDamaged) as caught:
        points(engine, run_id, "key1")
    assert caught.value.metadata == {"run_id": run_id, "writer_id": "w", "sequence": "2"}


# In the background -------------------------------------------------------------------


def test_idle_runs_are_folded_without_being_asked_for(db: Database, run_id: str) -> None:
    with running(db) as engine:  # it dies before it gets to it
        write(engine, run_id, 1, 2)
    with running(db, folds=True, fold_idle_s=0.0) as engine:
        eventually(lambda: run_of(db, run_id).folded_arrival == 2, "it is folded")
        write(engine, run_id, 3)
        eventually(lambda: run_of(db, run_id).folded_arrival == 3, "it is folded")


def test_runs_with_much_to_fold_do_not_wait_to_be_idle(db: Database, run_id: str) -> None:
    with running(db, folds=True) as engine:
        for sequence in range(1, 10):
            write(engine, run_id, sequence, rows=20_000)
        eventually(lambda: run_of(db, run_id).folded_arrival > 0, "it is folded")


def test_compact_folds_to_the_end_and_removes_frames(
    db: Database, engine: Engine, run_id: str
) -> None:
    write(engine, run_id, 1, 2, 3)
    expected = exact(engine, run_id)
    before = engine.storage(run_id)
    assert (before.frames, before.unfolded_frames, before.unfolded_points) == (3, 3, 900)
    eventually(lambda: engine.compact(run_id).done, "it is compact")
    after = engine.storage("")
    assert (after.frames, after.unfolded_frames, after.frame_bytes) == (0, 0, 0)
    assert (after.blocks, after.block_points) == (1, 900)
    assert 0 < after.block_bytes < before.frame_bytes
    assert exact(engine, run_id) == expected


def test_what_was_folded_is_told_again_by_its_arrival(
    db: Database, engine: Engine, run_id: str, small: None
) -> None:
    names = {number: f"k{number}" for number in range(4)}
    sent = [
        frame({number % 4: [float(number)], (number + 1) % 4: [-1.0]}, [100 - number])
        for number in range(30)
    ]
    for sequence, one in enumerate(sent, start=1):
        send(engine, run_id, batch(sequence, one), names=names)
        if sequence % 7 == 0:
            fold(db, run_id)
    fold(db, run_id, thorough=True)
    trim(db, run_id)
    wanted = [key_id("k1"), key_id("k3")]
    told: list[tuple[int, int, int, float]] = []
    after = 0
    with db.read() as tx:
        while stretch := history.read_stretch(tx, run_id, wanted, after):
            assert stretch.until > after
            for part in stretch.parts:
                arrivals = part.arrivals >> outstanding.PLACE_BITS
                assert ((arrivals > after) & (arrivals <= stretch.until)).all()
                for place, key in enumerate(part.key_ids.tolist()):
                    rows = zip(arrivals.tolist(), part.steps.tolist(), strict=True)
                    values = part.values[place].tolist()
                    told += [(a, key, s, v) for (a, s), v in zip(rows, values, strict=True)]
            after = stretch.until
    assert after == 30
    expected = [
        (number + 1, key_id(names[column]), 100 - number, value)
        for number in range(30)
        for column, value in ((number % 4, float(number)), ((number + 1) % 4, -1.0))
        if column in (1, 3)
    ]
    assert sorted(told) == sorted(expected)
