"""Tables through the fluent API: rows that grow, values that stay what they were."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import backends
import numpy as np
import pytest
import runwire
from runwire import _session

from client.sessions import session


@pytest.fixture(autouse=True)
def fluent(server: backends.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with session(server, monkeypatch):
        yield


def _stored(run: runwire.ActiveRun, path: str = "t.json") -> Any:
    return json.loads(runwire.load_text(f"runs:/{run.run_id}/{path}"))


def test_tables_grow_with_each_call() -> None:
    import pandas as pd

    with runwire.start_run() as run:
        runwire.log_table({"q": ["a", "b"], "n": np.array([1, 2])}, "eval.json")
        runwire.log_table({"q": "c", "extra": 1.5}, "eval.json")
        runwire.log_table(pd.DataFrame({"q": ["d"]}), "eval.json")
        with pytest.raises(runwire.InvalidArgumentError, match="equally long"):
            runwire.log_table({"q": [1], "n": [1, 2]}, "eval.json")
        with pytest.raises(runwire.InvalidArgumentError, match=r"\.json"):
            runwire.log_table({"q": [1]}, "eval.parquet")
        with pytest.raises(TypeError, match="dict of columns"):
            runwire.log_table([1, 2], "eval.json")
    with runwire.start_run(run_id=run.run_id):
        runwire.log_table({"q": ["e"]}, "eval.json")
    table = runwire.load_table("eval.json", [run.run_id], extra_columns=["run_id", "status"])
    assert list(table["q"]) == ["a", "b", "c", "d", "e"]
    assert list(table["n"].fillna(0)) == [1, 2, 0, 0, 0]
    assert set(table["status"]) == {"FINISHED"}
    assert set(table["run_id"]) == {run.run_id}


def test_values_come_back_as_they_were() -> None:
    import pandas as pd

    values = [
        2**63 - 1,
        -(2**53) - 1,
        0.1,
        5e-324,
        math.inf,
        -math.inf,
        "ü\u2028",
        None,
        True,
        [1, "a"],
    ]
    frame = pd.DataFrame({"v": pd.Series(values, dtype=object), "large": [2**60 + 1] * 9 + [3]})
    with runwire.start_run() as run:
        runwire.log_table(frame, "t.json")
        runwire.log_table({"v": [math.nan]}, "t.json")
    assert _stored(run)["data"][:10] == [
        [v, n] for v, n in zip(values, frame["large"], strict=True)
    ]
    table = runwire.load_table("t.json", [run.run_id])
    assert list(table["v"][:10]) == values
    assert math.isnan(table["v"][10])
    assert list(table["large"][:10]) == list(frame["large"])


def test_times_and_missing_values_have_one_form() -> None:
    import pandas as pd

    day = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
    with runwire.start_run() as run:
        runwire.log_table(
            {
                "python": [day, day.date()],
                "pandas": [pd.Timestamp(day), pd.NaT],
                "numpy": np.array(["2024-02-29", "NaT"], dtype="M8[ns]"),
                "other": [pd.NA, {1: np.float32(0.5)}],
            },
            "t.json",
        )
    iso = "2024-02-29T12:00:00+00:00"
    assert _stored(run)["data"] == [
        [iso, iso, "2024-02-29T00:00:00.000000000", None],
        ["2024-02-29", None, "NaT", {"1": 0.5}],
    ]


def test_what_is_changed_later_was_logged_as_it_was() -> None:
    cell = [1]
    with runwire.start_run() as run:
        runwire.log_table({"a": [cell]}, "t.json")
        cell.append(2)
        runwire.log_table({"a": ["next"]}, "t.json")
    assert _stored(run)["data"] == [[[1]], ["next"]]


def test_picture_in_a_table_is_a_file_beside_it() -> None:
    from PIL import Image

    with runwire.start_run() as run:
        runwire.log_table({"image": Image.new("L", (2, 2), 7), "label": "seven"}, "t.json")
    ((cell, label),) = _stored(run)["data"]
    assert (cell["type"], label) == ("image", "seven")
    assert runwire.load_image(f"runs:/{run.run_id}/{cell['filepath']}").getpixel((0, 0)) == 7


def test_table_without_rows_keeps_its_columns() -> None:
    with runwire.start_run() as run:
        runwire.log_table({"a": [], "b": []}, "t.json")
    assert list(runwire.load_table("t.json", [run.run_id]).columns) == ["a", "b"]


def test_columns_of_one_name_are_refused() -> None:
    import pandas as pd

    with runwire.start_run(), pytest.raises(runwire.InvalidArgumentError, match="one name"):
        runwire.log_table(pd.DataFrame([[1, 2]], columns=["a", "a"]), "t.json")


def test_rows_of_many_threads_are_all_there() -> None:
    with runwire.start_run() as run, ThreadPoolExecutor(8) as pool:
        for number in range(100):
            pool.submit(runwire.log_table, {"n": number}, "t.json", run.run_id)
    assert sorted(runwire.load_table("t.json", [run.run_id])["n"]) == list(range(100))


def test_last_of_many_writes_of_a_file_is_the_one_that_stays() -> None:
    with runwire.start_run() as run:
        for number in range(200):
            runwire.log_text(f"{number}", "progress.txt")
    assert runwire.load_text(f"runs:/{run.run_id}/progress.txt") == "199"


def test_rows_of_a_resumed_run_are_kept_where_no_server_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with runwire.start_run() as run:
        runwire.log_table({"a": [1]}, "t.json")
    assert runwire.flush()

    def away() -> None:
        raise runwire.UnavailableError("away")

    with monkeypatch.context() as patch, runwire.start_run(run_id=run.run_id):
        patch.setattr(_session, "client", away)
        runwire.log_table({"a": [2]}, "t.json")
        runwire.log_table({"a": [3]}, "t.json")
    names = [one.path for one in runwire.list_artifacts(run_id=run.run_id)]
    aside = next(name for name in names if name != "t.json")
    assert aside in caplog.text
    assert _stored(run)["data"] == [[1]]
    assert _stored(run, aside)["data"] == [[2], [3]]


def test_tables_of_all_runs_of_the_experiment_are_read_together() -> None:
    runs = []
    for number in range(3):
        with runwire.start_run() as run:
            runwire.log_param("lr", number)
            runwire.log_metric("loss", number / 2)
            if number:
                runwire.log_table({"n": [number] * 2, "run_id": ["own"] * 2}, "deep/t.json")
        runs.append(run.run_id)
    extra = ["run_id", "params.lr", "metrics.loss", "tags.none", "start_time", "run_name"]
    table = runwire.load_table("deep/t.json", extra_columns=extra)
    assert sorted(table["n"]) == [1, 1, 2, 2]
    assert [str(n) for n in table["n"]] == list(table["params.lr"])
    assert [n / 2 for n in table["n"]] == list(table["metrics.loss"])
    assert [runs[n] for n in table["n"]] == list(table["run_id_"])
    assert set(table["run_id"]) == {"own"}
    assert list(table["tags.none"]) == [None] * 4
    with pytest.raises(runwire.NotFoundError):
        runwire.load_table("deep/t.json", runs)
    with pytest.raises(runwire.NotFoundError, match="no run"):
        runwire.load_table("other.json")
    with pytest.raises(runwire.InvalidArgumentError, match="nonsense"):
        runwire.load_table("deep/t.json", runs[1:], extra_columns=["nonsense"])


def test_file_that_is_no_table_is_told() -> None:
    with runwire.start_run() as run:
        runwire.log_text("[1]", "t.json")
    with pytest.raises(runwire.InvalidArgumentError, match="no table"):
        runwire.load_table("t.json", [run.run_id])
