"""What a filter means: missing keys, NaN, times, states; its errors; the nouns beside runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from runwire_server.errors import FilterSyntax
from runwire_server.store.database import Database, Transaction
from runwire_server.store.search import EXPERIMENTS, MODEL_VERSIONS, MODELS, RUNS, search
from runwire_server.store.tables import (
    experiments,
    model_aliases,
    model_version_tags,
    model_versions,
    models,
)

from .trials import START, TRIALS, Trial, found, insert_run, number_of, started

Predicate = Callable[[Trial], bool]


@pytest.fixture
def tx(db: Database) -> Iterator[Transaction]:
    with db.write() as transaction:
        for trial in TRIALS:
            insert_run(transaction, trial)
    with db.read() as transaction:
        yield transaction


def ids(*tests: Predicate) -> list[str]:
    return sorted(trial.run_id for trial in TRIALS if all(test(trial) for test in tests))


@pytest.mark.parametrize(
    ("text", "predicate"),
    [
        ("params.p != 'a'", lambda t: t.params.get("p", "a") != "a"),
        ("NOT params.p = 'a'", lambda t: t.params.get("p") != "a"),
        ("params.p != 10", lambda t: number_of(t.params.get("p", "")) not in (10, None)),
        ("NOT params.p = 10", lambda t: number_of(t.params.get("p", "")) != 10),
        ("params.p IN (10, 0.5)", lambda t: number_of(t.params.get("p", "")) in (10, 0.5)),
        ("params.p = ''", lambda t: t.params.get("p") == ""),
        ("run_name = ''", lambda t: t.name == ""),
        ("run_name IS NULL", lambda t: t.name == ""),
        ("run_name NOT IN ('a')", lambda t: t.name not in ("", "a")),
        ("parent_run_id IS NULL", lambda t: t.parent_run_id == ""),
        ("parent_run_id != 'x'", lambda t: t.parent_run_id != ""),
        ("NOT parent_run_id != 'x'", lambda t: t.parent_run_id == ""),
        ("run_id IS NULL", lambda t: False),
        ("NOT start_time > 0", lambda t: t.start_time is None),
        ("metrics.m = NaN", lambda t: t.metrics["m"].last is None),
        ("NOT metrics.m != nan", lambda t: t.metrics["m"].last is None),
        ("metrics.m NOT IN (0.5)", lambda t: t.metrics["m"].last != 0.5),
        ("metrics.m IS NULL", lambda t: False),
        ("min(metrics.m) IS NULL", lambda t: t.metrics["m"].min is None),
        ("metrics.m = Inf", lambda t: t.metrics["m"].last == math.inf),
        ("count(metrics.m) >= 3", lambda t: t.metrics["m"].points >= 3),
        ("metrics.val/loss IS NULL", lambda t: "val/loss" not in t.metrics),
        ("datasets.name IS NULL", lambda t: not t.datasets),
        ("datasets.name != 'train'", lambda t: "test" in t.datasets),
        ("NOT datasets.name = 'train'", lambda t: "train" not in t.datasets),
        ("datasets.context IS NULL", lambda t: "train" not in t.datasets),
        ("datasets.context IS NOT NULL", lambda t: "train" in t.datasets),
        ("datasets.context != 'eval'", lambda t: "train" in t.datasets),
        ("dataset.context LIKE 'train%'", lambda t: "train" in t.datasets),
        ("NOT datasets.context = 'training'", lambda t: "train" not in t.datasets),
        ("datasets.digest IS NULL", lambda t: not t.datasets),
        ("state = 'finished'", lambda t: t.state == "FINISHED"),
        ("status != 'FINISHED'", lambda t: t.state != "FINISHED"),
        ("status LIKE 'F%'", lambda t: t.state in ("FINISHED", "FAILED")),
        ("experiment_id = 1", lambda t: t.experiment_id == 1),
        ("experiment_id IN ('1', 7)", lambda t: t.experiment_id == 1),
        (f"start_time = {START + 2}", lambda t: started(t) == START + 2),
        (f"created IN ({START}, {START + 2}e0)", lambda t: started(t) in (START, START + 2)),
        (f"start_time NOT IN ({START})", lambda t: started(t) not in (START, None)),
        (f"start_time = {START + 2}.3", lambda t: t.start_time == START * 1000 + 2300),
        (f"start_time > {START}", lambda t: (started(t) or 0) > START),
        ("start_time = '2023-11-14T22:13:20.0023Z'", lambda t: t.start_time == START * 1000 + 2300),
        ("start_time >= '2023-11-14 22:13:20.002'", lambda t: (started(t) or 0) >= START + 2),
        ("start_time < '2023-11-14T23:13:20.002+01:00'",
         lambda t: t.start_time is not None and t.start_time < START * 1000 + 2000),
        ("start_time < '2023-11-15'", lambda t: t.start_time is not None),
    ],
)  # fmt: skip
def test_meaning_of_missing_nan_times_and_states(
    tx: Transaction, text: str, predicate: Predicate
) -> None:
    assert sorted(found(tx, text)) == ids(predicate)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("nonsense = 'a'", 0),
        ("name = 'a' AND metric.a.b = 1 AND attributes.loss = 1", 34),
        ("name = 5", 7),
        ("tags.a = 5", 9),
        ("params.a IN (1, 'b')", 16),
        ("params.a IN ('b', 1)", 13),
        ("params.a = NaN", 11),
        ("metrics.a = '5'", 12),
        ("metrics.a = 1e999", 12),
        ("metrics.a < NaN", 12),
        ("metrics.a LIKE 'a'", 10),
        ("min(metrics.a) = NaN", 17),
        ("name LIKE 5", 10),
        ("name LIKE 'a\\'", 10),
        ("state = 'done'", 8),
        ("state = 3", 8),
        ("state > 'FAILED'", 6),
        ("experiment_id = 'x'", 16),
        ("experiment_id = 1.5", 16),
        ("experiment_id = 9223372036854775808", 16),
        ("start_time > 'yesterday'", 13),
        ("start_time > 1e99", 13),
        ("start_time > 1e99999999999999999999", 13),
        ("start_time > inf", 13),
        ("start_time > 1.00001", 13),
        ("start_time LIKE '2%'", 11),
        ("dataset.source = 'x'", 0),
    ],
)
def test_error_of_meaning_has_its_position(db: Database, text: str, position: int) -> None:
    with db.read() as tx, pytest.raises(FilterSyntax) as raised:
        search(tx, RUNS, filter=text)
    assert raised.value.metadata == {"position": str(position), "field": "filter"}


@pytest.mark.parametrize("text", ["name, nonsense", "name, datasets.name"])
def test_order_error_names_its_field(db: Database, text: str) -> None:
    with db.read() as tx, pytest.raises(FilterSyntax) as raised:
        search(tx, RUNS, order_by=text)
    assert raised.value.metadata == {"position": "6", "field": "order_by"}


def test_text_in_quotes_never_becomes_sql(tx: Transaction) -> None:
    hostile = "x'' OR ''1''=''1"
    assert found(tx, f"params.p = '{hostile}'") == []
    assert found(tx, f"tags.\"{hostile}\" = 'a' OR metrics.`) OR (1=1` > 0") == []


def test_as_many_terms_as_allowed_can_be_run(tx: Transaction) -> None:
    assert found(tx, " OR ".join(f"tags.t{i} = 'a'" for i in range(64))) == []
    assert found(tx, " AND ".join(f"metrics.m{i} > 0" for i in range(64))) == []
    many = ", ".join(str(START + i) for i in range(1000))
    assert found(tx, f"start_time IN ({many})")
    order_by = ", ".join(f"params.p{i} DESC" for i in range(8))
    everything = " AND ".join(f"NOT tags.t{i} = 'a'" for i in range(64))
    assert sorted(found(tx, everything, order_by=order_by)) == ids()


# The other nouns ----------------------------------------------------------------------


def test_experiments_by_name_time_and_tag(db: Database) -> None:
    with db.write() as tx:
        for i, name in enumerate(["alpha", "beta"], 1):
            values = {"experiment_id": i, "workspace": "default", "name": name, "description": "",
                      "create_time": 10**15 * i, "update_time": 0, "revision": 1}  # fmt: skip
            tx.execute(sa.insert(experiments).values(values))
        scope = [experiments.c.workspace == "default"]
        for text, names in (
            ("name LIKE 'a%'", ["alpha"]),
            ("creation_time >= 2000000000000 AND NOT tags.a = 'b'", ["beta"]),
            ("experiment_id IN (1, '2')", ["beta", "alpha"]),
            ("description IS NOT NULL", []),
        ):
            rows, _ = search(tx, EXPERIMENTS, scope=scope, filter=text, order_by="create_time DESC")
            assert [row.name for row in rows if row.experiment_id] == names
        with pytest.raises(FilterSyntax, match="experiments have no metrics"):
            search(tx, EXPERIMENTS, filter="metrics.a > 1")
        with pytest.raises(FilterSyntax, match="experiments have no attribute 'state'"):
            search(tx, EXPERIMENTS, filter="state = 'RUNNING'")


@pytest.fixture
def registry(db: Database) -> Iterator[Transaction]:
    """Models m0 and m1 with versions 1 to 3; champion is version 2 of m1."""
    times = {"create_time": 0, "update_time": 0, "revision": 1, "description": ""}
    texts = dict.fromkeys(["source_path", "source_uri", "tree_digest", "signature", "creator"], "")
    with db.write() as tx:
        for i in range(2):
            model = {"model_id": f"{9 - i:032x}", "workspace": "default", "name": f"m{i}",
                     "stages": "[]", "latest_version": 3}  # fmt: skip
            tx.execute(sa.insert(models).values(model | times))
            for number in (1, 2, 3):
                version = {"model_id": model["model_id"], "version": number, "source_run_id": "",
                           "stage": "production" if number == 3 else "none"}  # fmt: skip
                tx.execute(sa.insert(model_versions).values(version | times | texts))
        champion = {"model_id": f"{8:032x}", "version": 2}
        tx.execute(sa.insert(model_aliases).values(champion | {"alias": "champion"}))
        tx.execute(sa.insert(model_version_tags).values(champion | {"key": "k", "value": "v"}))
    with db.read() as transaction:
        yield transaction


def test_models_by_alias_and_version(registry: Transaction) -> None:
    for text, names in (
        ("", ["m0", "m1"]),
        ("alias = 'champion'", ["m1"]),
        ("NOT aliases = 'champion'", ["m0"]),
        ("alias IS NULL", ["m0"]),
        ("latest_version >= 3 AND name ILIKE 'M1'", ["m1"]),
    ):
        rows, _ = search(registry, MODELS, filter=text)
        assert [row.name for row in rows] == names


def test_model_versions_carry_their_model_and_page_by_both_ids(registry: Transaction) -> None:
    for text, found_versions in (
        ("model = 'm0'", [("m0", 3), ("m0", 2), ("m0", 1)]),
        ("name = 'm1' AND stage = 'production'", [("m1", 3)]),
        ("alias = 'champion'", [("m1", 2)]),
        ("tags.k = 'v' AND version_number = 2", [("m1", 2)]),
        ("NOT tags.k = 'v' AND version = 2", [("m0", 2)]),
        ("run_id IS NULL AND version < 2", [("m0", 1), ("m1", 1)]),
    ):
        rows, _ = search(registry, MODEL_VERSIONS, filter=text)
        assert [(row.model, row.version) for row in rows] == found_versions
        assert all(row.workspace == "default" for row in rows)
    visited, token = [], ""
    while True:
        rows, token = search(
            registry, MODEL_VERSIONS, order_by="stage", page_size=1, page_token=token,
            scope=[models.c.delete_time.is_(None)],
        )  # fmt: skip
        visited += [(row.stage, row.model, row.version) for row in rows]
        if not token:
            break
    assert visited == [("none", "m1", 1), ("none", "m1", 2), ("none", "m0", 1), ("none", "m0", 2),
                       ("production", "m1", 3), ("production", "m0", 3)]  # fmt: skip
