"""What was logged arrives, once each, whatever happens on the way."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
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
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire._artifact import Artifacts
from runwire._call import Caller
from runwire._connect import Connection, connect
from runwire._errors import NotFoundError, RunwireError
from runwire._journal import Journal, RunLog
from runwire._journal_refused import read_refused
from runwire._journal_segments import FIRST_SEGMENT_BYTES
from runwire._journal_status import RUN_STOP_REQUESTED
from runwire._run import Runs
from runwire._uploader import journals, sync
from runwire.v1.run_pb2 import Run


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """The real services on SQLite and a folder, for the whole module."""
    with closing(connect(tmp_path_factory.mktemp("data"))) as opened:
        yield opened


@pytest.fixture
def runs(connection: Connection) -> Runs:
    return Runs(Caller(connection))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "journals", "unused", settings=OFFLINE)
    yield opened
    opened.close()


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
    st.sampled_from(["ok", "ok", "lost", "unheard", "late", "late", "large"]), max_size=25
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
