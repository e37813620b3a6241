"""Reading runs through the fluent API."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator

import backends
import pytest
import runwire
from runwire._fluent_search import own_tags_as_attributes

from client.sessions import session


@pytest.fixture(autouse=True)
def fluent(server: backends.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with session(server, monkeypatch):
        yield


def _run(name: str, loss: float | None = None, **params: object) -> str:
    with runwire.start_run(run_name=name) as run:
        runwire.log_params(params)
        if loss is not None:
            runwire.log_metric("loss", loss)
    return run.run_id


def _names(**arguments: object) -> list[str]:
    found = runwire.search_runs(output_format="list", **arguments)  # type: ignore[arg-type]
    return [run.info.run_name for run in found]


def test_table_has_the_columns_that_users_of_mlflow_know() -> None:
    first = _run("first", 0.5, lr=0.1)
    second = _run("second", None, layers=3)
    table = runwire.search_runs(order_by=["metrics.loss ASC"])
    fixed = ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"]
    assert list(table.columns[:6]) == fixed
    assert {"metrics.loss", "params.lr", "params.layers", "tags.mlflow.runName"} <= set(table)
    assert list(table["run_id"]) == [first, second]
    assert table["metrics.loss"][0] == 0.5
    assert math.isnan(table["metrics.loss"][1])
    assert table["params.lr"][0] == "0.1"
    assert table["params.lr"].isna()[1]
    assert str(table["start_time"].dtype).startswith("datetime64[")
    assert str(table["start_time"].dt.tz) == "UTC"
    assert (table["end_time"] >= table["start_time"]).all()


def test_table_of_no_runs_is_empty_and_has_columns() -> None:
    assert list(runwire.search_runs(experiment_ids=["0"]).columns[:2]) == [
        "run_id",
        "experiment_id",
    ]


def test_without_pandas_a_list_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    _run("only")
    monkeypatch.setattr("runwire._fluent_search._has_pandas", lambda: False)
    found = runwire.search_runs()
    assert [run.info.run_name for run in found] == ["only"]


def test_filter_and_order_are_taken_as_mlflow_takes_them() -> None:
    for name, loss in (("a", 3), ("b", 1), ("c", 2)):
        _run(name, loss, model="cnn" if name != "b" else "rnn")
    assert _names(order_by=["metrics.loss DESC"]) == ["a", "c", "b"]
    assert _names(order_by="metrics.loss") == ["b", "c", "a"]
    assert _names(filter_string='params.model = "cnn"', order_by=["attributes.start_time"]) == [
        "a",
        "c",
    ]
    assert _names(filter_string="attributes.status = 'FINISHED' and metrics.loss < 2") == ["b"]
    assert _names(filter_string="tags.mlflow.runName = 'c'") == ["c"]
    assert _names(max_results=2, order_by=["metrics.loss ASC"]) == ["b", "c"]


def test_children_are_found_by_their_parent() -> None:
    with runwire.start_run(run_name="outer") as outer:
        for number in range(2):
            with runwire.start_run(run_name=str(number), nested=True):
                pass
    query = f"tags.mlflow.parentRunId = '{outer.run_id}'"
    assert sorted(_names(filter_string=query)) == ["0", "1"]


def test_scope_is_the_active_experiment_unless_others_are_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    _run("here")
    there = runwire.create_experiment("there")
    with runwire.start_run(experiment_id=there, run_name="there"):
        pass
    assert _names() == ["here"]
    assert _names(experiment_ids=[there]) == ["there"]
    assert _names(experiment_names=["there", "fluent"], order_by=["run_name"]) == ["here", "there"]
    assert sorted(_names(search_all_experiments=True)) == ["here", "there"]
    assert _names(experiment_names=["nowhere"]) == []
    assert "no experiment 'nowhere'" in caplog.text
    assert _names(experiment_ids=[]) == []
    with pytest.raises(runwire.InvalidArgumentError, match="not both"):
        _names(experiment_ids=[there], experiment_names=["there"])


def test_deleted_runs_are_shown_where_they_are_asked_for() -> None:
    _run("kept")
    gone = _run("gone")
    runwire.delete_run(gone)
    assert runwire.get_run(gone).info.lifecycle_stage == "deleted"
    assert _names() == ["kept"]
    assert _names(run_view_type=2) == ["gone"]
    assert sorted(_names(run_view_type="ALL")) == ["gone", "kept"]
    runwire.restore_run(gone)
    assert sorted(_names()) == ["gone", "kept"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"filter_string": "metrics.loss <"}, "filter"),
        ({"order_by": ["nothing"]}, "order_by"),
        ({"output_format": "csv"}, "output_format"),
        ({"run_view_type": "SOME"}, "view_type"),
        ({"experiment_ids": ["taxi"]}, "experiment_id"),
        ({"max_results": -1}, "max_results"),
    ],
)
def test_wrong_search_is_refused_naming_the_field(arguments: dict[str, object], field: str) -> None:
    _run("one")
    with pytest.raises(runwire.InvalidArgumentError) as caught:
        runwire.search_runs(**{"output_format": "list", **arguments})  # type: ignore[arg-type]
    assert caught.value.metadata["field"] == field


def test_run_with_more_metrics_than_are_read_at_once_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with runwire.start_run() as run:
        runwire.log_metrics({f"m{number}": number for number in range(1001)})
    for read in (lambda: runwire.get_run(run.run_id), runwire.search_runs):
        caplog.clear()
        read()
        assert f"run {run.run_id} has more metrics" in caplog.text


def test_unknown_run_is_not_found() -> None:
    with pytest.raises(runwire.NotFoundError):
        runwire.get_run("0" * 32)


def test_own_data_is_read_at_once_and_from_a_run_that_goes_on() -> None:
    with runwire.start_run(run_name="live"):
        for step in range(3):
            runwire.log_metric("m", step, step=step)
            (run,) = runwire.search_runs(output_format="list")
            assert run.data.metrics == {"m": float(step)}
            assert run.info.status == "RUNNING"


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("tags.mlflow.runName = 'x'", "attributes.run_name = 'x'"),
        ("tag.`mlflow.user` = 'x'", "attributes.user_id = 'x'"),
        ("tags.\"mlflow.source.name\" LIKE '%.py'", "attributes.source_name LIKE '%.py'"),
        ("params.a = 'tags.mlflow.runName'", "params.a = 'tags.mlflow.runName'"),
        ("tags.mlflow.runName2 = 'x'", "tags.mlflow.runName2 = 'x'"),
        ("tags.other = 'it''s tags.mlflow.user'", "tags.other = 'it''s tags.mlflow.user'"),
    ],
)
def test_own_tags_of_mlflow_are_attributes_here(text: str, translated: str) -> None:
    assert own_tags_as_attributes(text) == translated


def test_reading_imports_pandas_only_when_a_table_is_wanted() -> None:
    import subprocess

    program = (
        "import sys, runwire\n"
        "runwire.set_tracking_uri('x')\n"
        "runwire.search_runs(output_format='list')\n"
        "assert 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
