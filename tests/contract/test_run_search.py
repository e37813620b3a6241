"""What is promised of searches for runs. The grammar of filters is in ``tests/server``."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import runwire
from runwire.v1.run_pb2 import DatasetInput


def _ids(runs: object) -> list[str]:
    return [run.run_id for run in runs]  # type: ignore[attr-defined]


def test_a_search_covers_the_experiments_it_names_or_all_of_the_workspace(
    client: runwire.Client,
) -> None:
    ours = [client.runs.create(experiment_name=name) for name in ("a", "b", "c")]
    theirs = client.runs.create(experiment_name="a", workspace="team-b")
    a, b, _ = ours
    assert set(_ids(client.runs.search())) == {run.run_id for run in ours}
    assert _ids(client.runs.search(workspace="team-b")) == [theirs.run_id]
    assert _ids(client.runs.search([a.experiment_id])) == [a.run_id]
    both = client.runs.search([b.experiment_id, a.experiment_id, a.experiment_id])
    assert set(_ids(both)) == {a.run_id, b.run_id}
    assert list(client.runs.search(["4711"])) == []


@pytest.mark.parametrize("wrong", ["", "x", "-1", "a\0"])
def test_a_search_refuses_what_is_no_experiment_id(client: runwire.Client, wrong: str) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as error:
        list(client.runs.search([wrong]))
    assert error.value.metadata["field"] == "experiment_ids"


def test_a_search_filters_by_everything_at_once(client: runwire.Client) -> None:
    for i in range(6):
        run = client.runs.create(
            name=f"run{i}",
            params={"lr": f"0.{i}"},
            tags={"team": "nlp" if i % 2 else "vision"},
            inputs=[DatasetInput(name="digits", digest=f"d{i}")],
        )
        client.metrics.log(run.run_id, {"loss": float(i)})
    found = client.runs.search(
        filter="metrics.loss > 1 AND (params.lr = 0.3 OR tags.team LIKE 'vis%')"
        " AND NOT datasets.digest = 'd4' AND state = 'RUNNING'",
        order_by="metrics.loss DESC",
    )
    assert [run.name for run in found] == ["run3", "run2"]


def test_a_search_finds_what_a_dataset_was_used_for(client: runwire.Client) -> None:
    for name, contexts in (("both", ["training", "eval"]), ("eval", ["eval"]), ("none", [""])):
        inputs = [DatasetInput(name="d", tags={"context": one}) for one in contexts]
        client.runs.create(name=name, inputs=inputs)
    client.runs.create(name="tagged", inputs=[DatasetInput(name="d", tags={"for": "training"})])
    client.runs.create(name="without")
    for text, names in (
        ("datasets.context = 'eval'", ["both", "eval"]),
        ("dataset.name = 'd' AND dataset.context = 'training'", ["both"]),
        ("datasets.context = 'eval' AND datasets.context != 'eval'", ["both"]),
        ("datasets.context IN ('eval', 'training') AND NOT dataset.context = 'training'", ["eval"]),
        ("datasets.context ILIKE 'TRAIN%'", ["both"]),
        ("datasets.context IS NULL", ["none", "tagged", "without"]),
    ):
        found = client.runs.search(filter=text, order_by="name")
        assert [run.name for run in found] == names, text
    with pytest.raises(runwire.InvalidArgumentError, match="several values"):
        list(client.runs.search(order_by="datasets.context"))


def test_a_context_is_a_value(client: runwire.Client) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.runs.create(inputs=[DatasetInput(name="d", tags={"context": "a\0"})])
    assert error.value.metadata["field"] == "run.inputs.tags.context"


def test_columns_bring_just_what_they_name(client: runwire.Client) -> None:
    run = client.runs.create(
        params={"lr": "0.1", "other": "x"}, tags={"team": "nlp", "other": "x"}, name="n"
    )
    for step, value in enumerate((3.0, 1.0, 2.0)):
        client.metrics.log(run.run_id, {"loss": value, "other": 0.0}, step=step)
    columns = ["params.lr", "tags.team", "metrics.loss", "min(metrics.loss)", "max(metrics.loss)"]
    (found,) = client.runs.search(columns=[*columns, "mean(metrics.loss)", "params.none", "name"])
    assert found.name == "n"
    assert dict(found.params) == {"lr": "0.1"}
    assert dict(found.tags) == {"team": "nlp"}
    assert dict(found.metrics) == {"loss": 2.0, "min(loss)": 1.0, "max(loss)": 3.0, "mean(loss)": 2}


def test_a_column_of_a_metric_that_was_never_finite_has_no_minimum(client: runwire.Client) -> None:
    run = client.runs.create()
    client.metrics.log(run.run_id, {"loss": math.nan})
    (found,) = client.runs.search(columns=["metrics.loss", "min(metrics.loss)"])
    assert list(found.metrics) == ["loss"]
    assert math.isnan(found.metrics["loss"])


@pytest.mark.parametrize(
    "column", ["", "nothing", "min(params.lr)", "median(metrics.x)", "params.a\0"]
)
def test_a_column_that_does_not_exist_is_refused(client: runwire.Client, column: str) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as error:
        list(client.runs.search(columns=[column]))
    assert error.value.metadata["field"] == "columns"


def test_pages_hold_every_run_once_though_others_come_and_go(client: runwire.Client) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    expected = [
        client.runs.create(start_time=start + timedelta(seconds=i // 3)).run_id for i in range(10)
    ]
    pages = client.runs.search(order_by="start_time", page_size=3, view="FULL").pages()
    first = next(pages)
    client.runs.create(start_time=start - timedelta(days=1))
    client.runs.delete(first.runs[0].run_id)
    seen = [run.run_id for page in (first, *pages) for run in page.runs]
    assert sorted(seen) == sorted(expected)


@pytest.mark.parametrize("page_size", [1, 4, 10, 20])
def test_pages_are_the_whole_search_cut_in_pieces(client: runwire.Client, page_size: int) -> None:
    for i in range(10):
        run = client.runs.create()
        client.metrics.log(run.run_id, {"loss": math.nan if i % 4 == 0 else float(i % 3)})
    order = "metrics.loss DESC, start_time"
    whole = _ids(client.runs.search(order_by=order))
    pages = list(client.runs.search(order_by=order, page_size=page_size).pages())
    assert [len(page.runs) for page in pages[:-1]] == [page_size] * (len(pages) - 1)
    assert [run_id for page in pages for run_id in _ids(page.runs)] == whole
    assert len(whole) == 10


def test_a_page_token_of_another_search_is_refused(client: runwire.Client) -> None:
    for _ in range(2):
        client.runs.create()
    token = next(client.runs.search(page_size=1).pages()).next_page_token
    assert len(list(client.runs.search(page_size=7, page_token=token))) == 1
    others: list[dict[str, Any]] = [
        {"experiment_ids": ["0"]},
        {"filter": "name = 'x'"},
        {"order_by": "name"},
        {"view": "FULL"},
        {"columns": ["params.a"]},
        {"show_deleted": True},
        {"workspace": "team-b"},
    ]
    for other in others:
        with pytest.raises(runwire.InvalidArgumentError) as error:
            list(client.runs.search(**other, page_token=token))
        assert error.value.reason == "PAGE_TOKEN_MISMATCH"


@pytest.mark.parametrize("token", ["nonsense", "AAAA", "\0", "🧪"])
def test_a_page_token_that_is_none_is_refused(client: runwire.Client, token: str) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as error:
        list(client.runs.search(page_token=token))
    assert error.value.reason == "PAGE_TOKEN_MISMATCH"


def test_many_full_runs_come_in_pages_that_fit_a_message(client: runwire.Client) -> None:
    params = {f"p{i}": "x" * 60_000 for i in range(8)}
    expected = {client.runs.create(params=params).run_id for _ in range(12)}
    pages = list(client.runs.search(view="FULL", page_size=100).pages())
    assert len(pages) > 1
    assert max(page.ByteSize() for page in pages) < 4 << 20
    runs = [run for page in pages for run in page.runs]
    assert {run.run_id for run in runs} == expected
    assert all(dict(run.params) == params for run in runs)


def test_a_run_with_more_than_it_shows_says_so(client: runwire.Client) -> None:
    run = client.runs.create(params={f"p{i:04}": "v" for i in range(1001)})
    found = client.runs.get(run.run_id)
    assert found.truncated
    assert len(found.params) == 1000
    (found,) = client.runs.search(columns=["params.p1000"])
    assert dict(found.params) == {"p1000": "v"}
