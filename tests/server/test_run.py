"""Runs below the API: data written inside a batch's transaction, waiting finishes, caps."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st
from runwire.v1.common_pb2 import Fault
from runwire.v1.run_pb2 import DatasetInput, Run
from runwire.v1.run_service_pb2 import (
    RUN_VIEW_BASIC,
    RUN_VIEW_FULL,
    FinishRunRequest,
    SearchRunsRequest,
)
from runwire_server.errors import Deleted, FieldInvalid, RunSealed
from runwire_server.limits import LIMITS
from runwire_server.metrics.keys import key_id
from runwire_server.retry import retrying
from runwire_server.store import experiment, run, run_read
from runwire_server.store.database import Database
from runwire_server.store.run_data import number
from runwire_server.store.tables import (
    experiments,
    metric_keys,
    metric_summaries,
    metric_writers,
    run_params,
    runs,
)

ID = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32


def _create(db: Database, run_id: str = ID, **fields: object) -> None:
    with db.write() as tx:
        run.create(tx, Run(run_id=run_id, **fields), "", "")  # type: ignore[arg-type]


def _get(db: Database, run_id: str = ID) -> Run:
    with db.read() as tx:
        return run.get(tx, run_id)


def _keys(faults: list[tuple[str, Fault]]) -> list[tuple[str, str]]:
    return [(key, fault.reason) for key, fault in faults]


def _add_writer(db: Database, writer_id: str, committed_sequence: int) -> None:
    with db.write() as tx:
        values = {
            "run_id": ID,
            "writer_id": writer_id,
            "committed_sequence": committed_sequence,
            "position": 0,
            "closed": False,
            "open_time": tx.now,
        }
        tx.execute(sa.insert(metric_writers), values)


def _advance(db: Database, writer_id: str, committed_sequence: int) -> bool:
    """What the metric engine does when it has stored batches."""
    with db.write() as tx:
        tx.execute(
            sa.update(metric_writers)
            .where(metric_writers.c.run_id == ID, metric_writers.c.writer_id == writer_id)
            .values(committed_sequence=committed_sequence)
        )
        return run.finish_if_reached(tx, ID)


def _closed(db: Database) -> dict[str, bool]:
    with db.read() as tx:
        rows = tx.execute(sa.select(metric_writers).where(metric_writers.c.run_id == ID))
        return {row.writer_id: bool(row.closed) for row in rows}


def _finish(db: Database, state: int = Run.STATE_FINISHED, **fields: object) -> None:
    with db.write() as tx:
        run.finish(tx, FinishRunRequest(run_id=ID, state=state, **fields))  # type: ignore[arg-type]


def _add_summaries(db: Database, last: Mapping[str, float | None], run_id: str = ID) -> None:
    empty = dict.fromkeys(("points", "first_step", "last_step", "last_time", "sum"), 0)
    with db.write() as tx:
        for name, value in last.items():
            tx.execute(
                tx.insert(metric_keys)
                .values(key_id=key_id(name), name=name)
                .on_conflict_do_nothing()
            )
            key = {"experiment_id": 0, "key_id": key_id(name), "run_id": run_id}
            numbers = {"last": value, "min": 1.0, "max": 3.0, "mean": 2.0, "non_finite": 0}
            tx.execute(sa.insert(metric_summaries), {**empty, **key, **numbers})


# Params, tags and inputs of a batch


def test_a_param_can_be_logged_again_with_its_value_but_not_with_another(db: Database) -> None:
    _create(db)
    with db.write() as tx:
        assert run.log_params(tx, ID, {"lr": "0.1", "n": "3"}) == []
        assert _keys(run.log_params(tx, ID, {"lr": "0.1", "n": "4", "new": "x"})) == [
            ("n", "PARAM_CONFLICT")
        ]
    assert dict(_get(db).params) == {"lr": "0.1", "n": "3", "new": "x"}


def test_bad_entries_are_faults_and_the_good_ones_of_the_batch_are_kept(db: Database) -> None:
    _create(db)
    long = "k" * 10_000
    bad = {"": "x", long: "x", "a\0b": "x", "nul": "a\0b", "big": "x" * 70_000}
    expected = {
        ("", "FIELD_INVALID"),
        (long, "TOO_LARGE"),
        ("a\0b", "FIELD_INVALID"),
        ("nul", "FIELD_INVALID"),
        ("big", "TOO_LARGE"),
    }
    with db.write() as tx:
        assert set(_keys(run.log_params(tx, ID, {**bad, "good": "1"}))) == expected
        assert set(_keys(run.set_tags(tx, ID, {**bad, "good": "2"}))) == expected
    found = _get(db)
    assert dict(found.params) == {"good": "1"}
    assert dict(found.tags) == {"good": "2"}


def test_the_last_tag_wins_and_a_removed_one_is_gone(db: Database) -> None:
    _create(db, tags={"a": "1", "b": "1"})
    with db.write() as tx:
        run.set_tags(tx, ID, {"a": "2", "c": "2"})
        run.remove_tags(tx, ID, ["b", "never there", "nul\0"])
    assert dict(_get(db).tags) == {"a": "2", "c": "2"}


def test_a_batch_may_hold_more_keys_than_a_statement_takes_values(db: Database) -> None:
    _create(db)
    many = {f"k{i}": "v" for i in range(40_000)}
    with db.write() as tx:
        assert run.log_params(tx, ID, many) == []
        assert run.log_params(tx, ID, many) == []
        run.remove_tags(tx, ID, many)
        count = tx.execute(sa.select(sa.func.count()).select_from(run_params)).scalar_one()
    assert count == 40_000


def test_an_input_logged_twice_is_kept_once(db: Database) -> None:
    _create(db)
    train = DatasetInput(name="digits", digest="d1", tags={"context": "train"})
    test = DatasetInput(name="digits", digest="d1", tags={"context": "test"})
    with db.write() as tx:
        assert run.add_inputs(tx, ID, [train, test, train]) == []
        assert run.add_inputs(tx, ID, [train]) == []
        faults = run.add_inputs(
            tx,
            ID,
            [
                DatasetInput(),
                DatasetInput(name="n", digest="d\0"),
                DatasetInput(name="big", schema="x" * (600 * 1024)),
            ],
        )
    assert _keys(faults) == [("", "FIELD_INVALID"), ("n", "FIELD_INVALID"), ("big", "TOO_LARGE")]
    found = list(_get(db).inputs)
    assert len(found) == 2
    assert train in found
    assert test in found


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_param_is_stored_as_the_number_that_it_reads_as(value: float) -> None:
    assert number(repr(value)) == value
    assert number(f"{value:e}") == float(f"{value:e}")


@pytest.mark.parametrize("text", ["", "nan", "inf", "1_000", "0x10", "١", " 1", "1e999", "1e", "."])
def test_a_param_that_is_no_plain_finite_number_has_no_number(text: str) -> None:
    assert number(text) is None


# Finishing


def test_a_finish_waits_for_its_writers_and_closes_just_these(db: Database) -> None:
    _create(db)
    _add_writer(db, "rank0", 3)
    _add_writer(db, "rank1", 9)
    _finish(db, after={"rank0": 5, "rank1": 9})
    _add_writer(db, "rank2", 1)
    assert _get(db).state == Run.STATE_RUNNING
    assert _advance(db, "rank0", 4) is False
    assert _get(db).state == Run.STATE_RUNNING
    assert _advance(db, "rank0", 5) is True
    assert _get(db).state == Run.STATE_FINISHED
    assert _closed(db) == {"rank0": True, "rank1": True, "rank2": False}
    assert _advance(db, "rank0", 6) is False


def test_a_finish_that_waited_keeps_the_end_it_was_sent_with(db: Database) -> None:
    _create(db)
    _finish(db, Run.STATE_FAILED, after={"rank0": 1}, end_time={"seconds": 1000})
    _add_writer(db, "rank0", 0)
    assert _advance(db, "rank0", 1)
    found = _get(db)
    assert (found.state, found.end_time.seconds) == (Run.STATE_FAILED, 1000)


def test_a_repeated_finish_that_waits_changes_nothing(db: Database) -> None:
    _create(db)
    _finish(db, after={"rank0": 1})
    before = _get(db)
    _finish(db, after={"rank0": 1})
    assert _get(db) == before


def test_a_finish_without_writers_is_applied_at_once_and_closes_all(db: Database) -> None:
    _create(db)
    _add_writer(db, "rank0", 3)
    _finish(db, after={"rank0": 100})
    _finish(db, Run.STATE_KILLED)
    assert _get(db).state == Run.STATE_KILLED
    assert _closed(db) == {"rank0": True}
    assert _advance(db, "rank0", 100) is False
    assert _get(db).state == Run.STATE_KILLED


def test_a_run_that_is_over_in_another_state_is_sealed(db: Database) -> None:
    _create(db)
    _finish(db)
    with pytest.raises(RunSealed, match="FINISHED"):
        _finish(db, Run.STATE_FAILED)


def test_resuming_forgets_the_finish_that_waits_and_the_wish_to_stop(db: Database) -> None:
    _create(db)
    with db.write() as tx:
        run.stop(tx, ID, "too slow")
    _finish(db, after={"rank0": 1})
    with db.write() as tx:
        run.resume(tx, ID)
        row = tx.execute(sa.select(runs).where(runs.c.run_id == ID)).one()
    assert (row.state, row.stop_reason, row.pending_finish) == (Run.STATE_RUNNING, None, None)
    _add_writer(db, "rank0", 0)
    assert _advance(db, "rank0", 1) is False


def test_a_wish_to_stop_is_kept_while_the_run_is_under_way(db: Database) -> None:
    _create(db)
    for reason in ("", "too slow"):
        with db.write() as tx:
            run.stop(tx, ID, reason)
            assert tx.execute(sa.select(runs.c.stop_reason)).scalar_one() == reason
    _finish(db)
    before = _get(db)
    with db.write() as tx:
        run.stop(tx, ID, "too late")
    assert _get(db) == before


def test_a_run_in_the_trash_is_not_finished_behind_its_back(db: Database) -> None:
    _create(db)
    _add_writer(db, "rank0", 0)
    _finish(db, after={"rank0": 1})
    with db.write() as tx:
        run.delete(tx, ID)
    assert _advance(db, "rank0", 1) is False
    with db.write() as tx:
        run.restore(tx, ID)
        assert run.finish_if_reached(tx, ID)


@pytest.mark.parametrize(
    "state", [Run.STATE_UNSPECIFIED, Run.STATE_SCHEDULED, Run.STATE_RUNNING, Run.STATE_LOST, 99]
)
def test_a_run_does_not_finish_in_a_state_that_is_no_end(db: Database, state: int) -> None:
    _create(db)
    with pytest.raises(FieldInvalid, match="FINISHED, FAILED or KILLED"):
        _finish(db, state)


# Creating


@pytest.mark.parametrize("state", [Run.STATE_FINISHED, Run.STATE_LOST, 99])
def test_a_new_run_is_running_or_scheduled(db: Database, state: int) -> None:
    with pytest.raises(FieldInvalid, match="RUNNING or SCHEDULED"):
        _create(db, state=state)


def test_metrics_do_not_come_with_a_new_run(db: Database) -> None:
    with pytest.raises(FieldInvalid, match="LogBatch"):
        _create(db, metrics={"loss": 1.0})


def test_a_run_created_by_many_at_once_is_made_once(db: Database) -> None:
    barrier = threading.Barrier(8)

    def call(_: int) -> bool:
        barrier.wait()
        return retrying(attempt)

    def attempt() -> bool:
        with db.write() as tx:
            return run.create(tx, Run(run_id=ID, params={"a": "b"}), "shared", "")[1]

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(call, range(8))) == [False] + [True] * 7
    with db.read() as tx:
        assert tx.execute(sa.select(experiments.c.name)).scalars().all() == ["Default", "shared"]


def test_a_refused_run_leaves_nothing_behind(db: Database) -> None:
    with pytest.raises(FieldInvalid), db.write() as tx:
        run.create(tx, Run(run_id=ID, params={"good": "1", "nul": "\0"}), "new", "")
    with db.read() as tx:
        for table in (runs, run_params):
            assert tx.execute(sa.select(table)).all() == []
        assert tx.execute(sa.select(experiments.c.name)).scalars().all() == ["Default"]


# Reading


def test_last_values_are_shown_bit_for_bit_and_a_null_is_nan(db: Database) -> None:
    _create(db)
    _add_summaries(db, {"loss": 0.1, "nan": None, "inf": math.inf, "minus": -math.inf})
    metrics = dict(_get(db).metrics)
    assert math.isnan(metrics.pop("nan"))
    assert metrics == {"loss": 0.1, "inf": math.inf, "minus": -math.inf}


def test_moving_a_run_moves_its_summaries(db: Database) -> None:
    _create(db)
    _add_summaries(db, {"loss": 0.1})
    with db.write() as tx:
        experiment_id = str(experiment.get_or_create(tx, "elsewhere", ""))
        moved = Run(run_id=ID, experiment_id=experiment_id)
        run.update(tx, moved, FieldMask(paths=["experiment_id"]))
    with db.read() as tx:
        stored = tx.execute(sa.select(metric_summaries.c.experiment_id)).scalar_one()
        asked = SearchRunsRequest(experiment_ids=[experiment_id], filter="metrics.loss < 1")
        found, _ = run.search(tx, asked)
    assert str(stored) == experiment_id
    assert [one.run_id for one in found] == [ID]


def test_a_run_shows_its_first_thousand_entries_and_says_that_there_are_more(db: Database) -> None:
    _create(db, params={f"k{i:05}": "v" for i in range(6001)})
    _create(db, OTHER, tags={f"k{i:05}": "v" for i in range(1000)})
    _add_summaries(db, {f"m{i}": 1.0 for i in range(1001)}, OTHER)
    many = _get(db)
    assert many.truncated
    assert sorted(many.params) == [f"k{i:05}" for i in range(1000)]
    with db.read() as tx:
        found, _ = run.search(tx, SearchRunsRequest(view=RUN_VIEW_FULL))
    shown = {one.run_id: one for one in found}
    assert shown[ID] == many
    assert shown[OTHER].truncated
    assert (len(shown[OTHER].tags), len(shown[OTHER].metrics)) == (1000, 1000)


def test_a_run_by_itself_is_shown_as_in_a_search(db: Database) -> None:
    inputs = [DatasetInput(name="b", digest="1"), DatasetInput(name="a")]
    _create(db, params={"b": "1", "a": ""}, tags={"a": "é", "c": "x"}, inputs=inputs)
    _add_summaries(db, {"loss": 0.1, "gone": None}, ID)
    _create(db, OTHER)
    with db.read() as tx:
        found, _ = run.search(tx, SearchRunsRequest(view=RUN_VIEW_FULL))
    for one in found:
        alone = _get(db, one.run_id)
        assert alone.SerializeToString(deterministic=True) == one.SerializeToString(
            deterministic=True
        )


def test_columns_see_past_the_cap(db: Database) -> None:
    _create(db, params={f"k{i:05}": "v" for i in range(1500)})
    with db.read() as tx:
        asked = SearchRunsRequest(view=RUN_VIEW_FULL, columns=["params.k01499"])
        found, _ = run.search(tx, asked)
    assert "k01499" in found[0].params


@pytest.mark.parametrize("per_run", [1, 7])
def test_data_of_many_runs_is_whole_however_the_queries_cut_it(
    db: Database, monkeypatch: pytest.MonkeyPatch, per_run: int
) -> None:
    monkeypatch.setattr(run_read, "ROWS_A_QUERY", 10)
    monkeypatch.setattr(run_read, "MAX_ENTRIES", 8)
    monkeypatch.setattr(run_read, "RUNS_A_QUERY", 6)
    monkeypatch.setattr(run_read, "_PARAMS", run_read._query(run_params, "key", "value"))
    expected = {}
    for i in range(20):
        count = (i * per_run) % 12
        expected[f"{i:032x}"] = {f"k{k:02}": str(i) for k in range(count)}
        _create(db, f"{i:032x}", params=expected[f"{i:032x}"])
    data = run_read.Data()
    with db.read() as tx:
        data.add_full(tx, list(expected))
    for run_id, params in expected.items():
        assert data.params.get(run_id, {}) == dict(list(params.items())[:8])
        assert (run_id in data.truncated) == (len(params) > 8)


def test_no_run_and_no_page_outgrows_a_message(db: Database) -> None:
    value = "ü" * (LIMITS.max_value_bytes // 2)
    for i in range(4):
        entries = {f"{k}": value for k in range(50)}
        inputs = [DatasetInput(name=f"{k}", schema=value) for k in range(20)]
        _create(db, f"{i:032x}", params=entries, tags=entries, inputs=inputs, description=value)
    seen: list[str] = []
    token, pages = "", 0
    while token or not pages:
        with db.read() as tx:
            asked = SearchRunsRequest(view=RUN_VIEW_FULL, page_token=token)
            found, token = run.search(tx, asked)
        assert sum(one.ByteSize() for one in found) < LIMITS.max_message_bytes
        assert all(one.truncated for one in found)
        seen += [one.run_id for one in found]
        pages += 1
    assert sorted(seen) == [f"{i:032x}" for i in range(4)]
    assert pages > 1


def test_which_searches_need_fresh_metrics() -> None:
    assert run.shows_metrics(SearchRunsRequest(view=RUN_VIEW_FULL))
    assert run.shows_metrics(SearchRunsRequest(filter="Metrics.loss < 1"))
    assert run.shows_metrics(SearchRunsRequest(order_by="metric.loss"))
    assert run.shows_metrics(SearchRunsRequest(columns=["min(metrics.loss)"]))
    assert not run.shows_metrics(SearchRunsRequest(view=RUN_VIEW_BASIC, filter="tags.a = 'b'"))


def test_a_deleted_experiment_seals_its_runs(db: Database) -> None:
    with db.write() as tx:
        run.create(tx, Run(run_id=ID), "doomed", "")
        experiment.delete(tx, "1")
    with pytest.raises(Deleted, match="experiment"):
        _finish(db)
