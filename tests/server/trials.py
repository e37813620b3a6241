"""A small population of runs that search is tried on, and the same runs in the database."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from runwire_server.metrics.keys import key_id
from runwire_server.store.database import Transaction
from runwire_server.store.search import RUNS, search
from runwire_server.store.tables import metric_summaries, run_inputs, run_params, run_tags, runs

START = 1_700_000_000_000  # ms
STATES = {"SCHEDULED": 1, "RUNNING": 2, "FINISHED": 3, "FAILED": 4}


@dataclass
class Series:
    points: int
    last: float | None  # None: NaN
    min: float | None
    max: float | None
    mean: float | None


@dataclass
class Trial:
    """One run, as the tests think of it."""

    run_id: str
    experiment_id: int
    name: str
    state: str
    start_time: int | None  # µs
    parent_run_id: str = ""
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Series] = field(default_factory=dict)
    datasets: list[str] = field(default_factory=list)


TEXTS = ["", "a", "A", "ab", "B", "b_c", "10", "9", "1e1", "0.5", "100%", "it's", "ä",
         "\uffff", "😀", "a\\b", "NaN"]  # fmt: skip
NUMBERS = [-math.inf, -1.5, 0.0, 0.1, 0.5, 1.0, 10.0, 1e300, 5e-324, math.inf]


def number_of(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def population() -> list[Trial]:
    """Every text and number somewhere, most keys missing somewhere, ties everywhere."""
    found = []
    for i in range(24):
        trial = Trial(
            run_id=f"{i * 7919 % 97:032x}",
            experiment_id=1 + i % 2,
            name=TEXTS[i % len(TEXTS)],
            state=list(STATES)[i % 4],
            start_time=None if i % 5 == 4 else (START + i // 3) * 1000 + i % 3 * 300,
            parent_run_id="" if i % 3 else f"{i % 2:032x}",
            datasets=[["train"], ["train", "test"], []][i % 3],
        )
        if i % 4:
            trial.params["p"] = TEXTS[i * 5 % len(TEXTS)]
        if i % 3:
            trial.tags["t"] = TEXTS[i * 3 % len(TEXTS)]
            trial.tags["odd key/1"] = TEXTS[i % 3]
        if i % 6 != 5:
            last = NUMBERS[i % len(NUMBERS)]
            finite = [n for n in (last, float(i % 3)) if math.isfinite(n)]
            trial.metrics["m"] = Series(i % 4 + 1, last, min(finite), max(finite), finite[0])
        else:
            trial.metrics["m"] = Series(1, None, None, None, None)
        if i % 2:
            trial.metrics["val/loss"] = Series(1, 0.5 * (i % 4), 0.0, 0.0, 0.0)
        found.append(trial)
    return found


TRIALS = population()


def insert_run(tx: Transaction, trial: Trial) -> None:
    owned = {"run_id": trial.run_id}
    values: dict[str, object] = dict.fromkeys(
        ["description", "user", "source_name", "git_commit", "forked_run_id"], ""
    )
    values |= owned | {
        "experiment_id": trial.experiment_id,
        "name": trial.name,
        "state": STATES[trial.state],
        "source": b"",
        "parent_run_id": trial.parent_run_id,
        "create_time": START * 1000,
        "start_time": trial.start_time,
        "summaries_stale": False,
        "revision": 1,
    }
    tx.execute(sa.insert(runs).values(values))
    row: dict[str, object]
    for key, value in trial.params.items():
        row = {"key": key, "value": value, "number": number_of(value)}
        tx.execute(sa.insert(run_params).values(owned | row))
    for key, value in trial.tags.items():
        tx.execute(sa.insert(run_tags).values(owned | {"key": key, "value": value}))
    for name in trial.datasets:
        row = {"input_id": name, "name": name, "digest": "d", "dataset_input": b""}
        row["context"] = "training" if name == "train" else ""
        tx.execute(sa.insert(run_inputs).values(owned | row))
    for key, series in trial.metrics.items():
        numbers = {"first_step": 0, "last_step": 0, "last_time": 0, "sum": 0.0, "non_finite": 0}
        ids = {"experiment_id": trial.experiment_id, "key_id": key_id(key)}
        row = {**numbers, **ids, **vars(series)}
        tx.execute(sa.insert(metric_summaries).values(owned | row))


def started(trial: Trial) -> int | None:
    return None if trial.start_time is None else trial.start_time // 1000


def found(tx: Transaction, filter: str, **more: Any) -> list[str]:
    rows, token = search(tx, RUNS, filter=filter, page_size=1000, **more)
    assert token == ""
    return [row.run_id for row in rows]
