"""Runs with many points, made at the level of stored frames: what an ingest leaves behind.

Values are noisy float32 losses or random walks, steps are contiguous.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import islice

import numpy as np
from runwire.v1.run_pb2 import Run
from runwire_server.metrics import frames
from runwire_server.metrics.keys import key_id
from runwire_server.store import run as run_store
from runwire_server.store.database import Database
from runwire_server.store.tables import metric_frames, metric_keys, metric_writers, runs

WRITER = "generated"
FRAME_BYTES = 512 * 1024
_DIFFERENT_FRAMES = 16
_FRAMES_A_TRANSACTION = 32
# Keys of a frame: a batch has at most 1 MiB.
_MAX_WIDTH = 30_000


def run(db: Database, keys: int, rows: int, walks: bool = False) -> str:
    """A run with ``keys`` x ``rows`` points in frames that are not summed up or folded.

    ``walks``: with the values of ``walks_of``, a step a second, in place of losses.
    """
    names = {key_id(name): name for name in (f"metric_{number:07}" for number in range(keys))}
    run_id = uuid.uuid4().hex
    with db.write() as tx:
        run_store.create(tx, Run(run_id=run_id), "", "")
        insert = tx.insert(metric_keys).on_conflict_do_nothing()
        tx.execute(insert, [{"key_id": key, "name": name} for key, name in names.items()])
    key_ids, last = np.array(list(names), frames.INT), 0
    made = (
        fields
        for at in range(0, keys, _MAX_WIDTH)
        for fields in (_walks if walks else _losses)(key_ids[at : at + _MAX_WIDTH], rows)
    )
    while group := list(islice(made, _FRAMES_A_TRANSACTION)):
        numbered = [
            {"run_id": run_id, "arrival": n, "sequence": n, "writer_id": WRITER, **fields}
            for n, fields in enumerate(group, last + 1)
        ]
        last += len(group)
        with db.write() as tx:
            tx.execute(metric_frames.insert(), numbered)
    with db.write() as tx:
        tx.execute(
            metric_writers.insert().values(
                run_id=run_id, writer_id=WRITER, committed_sequence=last, position=0,
                closed=True, open_time=tx.now,
            )
        )  # fmt: skip
        arrived = {"last_arrival": last, "summaries_stale": True}
        tx.execute(runs.update().where(runs.c.run_id == run_id).values(**arrived))
    return run_id


def walks_of(keys: int, rows: int) -> frames.Floats:
    """Random walks [row, key], whose doubles use all their bits: the worst to compress."""
    return np.random.default_rng(7).normal(size=(rows, keys)).cumsum(axis=0)


def _walks(keys: frames.Ints, rows: int) -> Iterator[dict[str, object]]:
    values, many = walks_of(len(keys), rows), _rows_a_frame(len(keys), rows)
    for start in range(0, rows, many):
        some = values[start : start + many]
        yield _fields(keys, start, 1_000_000 * np.arange(start, start + len(some)), some)


def _losses(keys: frames.Ints, rows: int) -> Iterator[dict[str, object]]:
    many = _rows_a_frame(len(keys), rows)
    noise = np.random.default_rng(7)
    shape = (_DIFFERENT_FRAMES, many, len(keys))
    drawn = (1.0 + 0.05 * noise.standard_normal(shape)).astype(np.float32).astype(frames.FLOAT)
    gaps = noise.normal(10_000, 100, shape[:2]).astype(frames.INT).cumsum(axis=1)
    for number, start in enumerate(range(0, rows, many)):
        count = min(many, rows - start)
        times = 1_700_000_000_000_000 + start * 10_000 + gaps[number % _DIFFERENT_FRAMES][:count]
        yield _fields(keys, start, times, drawn[number % _DIFFERENT_FRAMES][:count])


def _rows_a_frame(keys: int, rows: int) -> int:
    return min(rows, max(1, FRAME_BYTES // (8 * (keys + 2))))


def _fields(
    keys: frames.Ints, start: int, times: frames.Ints, values: frames.Floats
) -> dict[str, object]:
    steps = np.arange(start, start + len(times), dtype=frames.INT)
    return {
        "points": values.size, "step_min": start, "step_max": start + len(times) - 1,
        "time_min": int(times.min()), "time_max": int(times.max()), "receive_time": 0,
        "data": frames.encode([frames.Frame(keys, steps, times, values)]),
    }  # fmt: skip
