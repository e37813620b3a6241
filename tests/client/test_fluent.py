"""Runs and logging through the fluent API: what is promised to scripts written for mlflow."""

from __future__ import annotations

import gc
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import backends
import pytest
import runwire
from runwire import _active, _session

from client.sessions import session


@pytest.fixture(autouse=True)
def fluent(server: backends.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with session(server, monkeypatch):
        yield


def _series(run_id: str) -> dict[tuple[str, str], Any]:
    assert runwire.flush(timeout=120)
    with runwire.Client() as client:
        return client.metrics.read(run_id)


# Runs -------------------------------------------------------------------------------------


def test_run_records_what_was_logged_and_where_it_came_from() -> None:
    with runwire.start_run(run_name="first", tags={"team": "nlp"}, description="a try") as run:
        runwire.log_params({"lr": 0.01, "layers": [1, 2], "none": None})
        runwire.log_metric("loss", 0.5)
        runwire.log_metric("loss", 0.25, step=7)
        runwire.set_tag("stage", 3)
    read = runwire.get_run(run.info.run_id)
    assert (read.info.run_name, read.info.status) == ("first", "FINISHED")
    assert read.data.params == {"lr": "0.01", "layers": "[1, 2]", "none": "None"}
    assert read.data.metrics == {"loss": 0.25}
    assert read.data.tags["team"] == "nlp"
    assert read.data.tags["stage"] == "3"
    assert read.data.tags["mlflow.runName"] == "first"
    assert read.data.tags["mlflow.note.content"] == "a try"
    assert read.info.start_time is not None
    assert read.info.end_time is not None
    assert 0 <= read.info.end_time - read.info.start_time < 60_000
    with runwire.Client() as client:
        message = client.runs.get(run.run_id)
    assert message.user
    assert message.source.host
    assert message.source.language.startswith("python 3.")
    assert list(message.source.command)


def test_run_without_a_name_gets_one_that_a_seed_does_not_repeat() -> None:
    import random

    names = []
    for _ in range(2):
        random.seed(0)
        with runwire.start_run() as run:
            names.append(run.info.run_name)
    assert len(set(names)) == 2
    assert all(name.count("-") == 2 for name in names)


def test_info_of_an_active_run_asks_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise AssertionError("asked the server")

    with runwire.start_run(run_name="n", experiment_id=0) as run:
        monkeypatch.setattr(_session, "client", fail)
        info = run.info
        assert info.run_id == run.run_id == info.run_uuid
        assert (info.run_name, info.experiment_id, info.status) == ("n", "0", "RUNNING")
        assert info.artifact_uri == f"runs:/{run.run_id}"
        assert (info.lifecycle_stage, info.end_time) == ("active", None)
    assert info.status == "FINISHED"


def test_data_of_an_active_run_is_what_was_logged_until_now() -> None:
    with runwire.start_run() as run:
        runwire.log_param("a", 1)
        assert run.data.params == {"a": "1"}
        runwire.log_metric("m", 2)
        assert run.data.metrics == {"m": 2.0}
        assert run.info.experiment_id == runwire.set_experiment("fluent").experiment_id


def test_second_run_needs_nested() -> None:
    with runwire.start_run() as run:
        with pytest.raises(runwire.RunwireError, match=r"already active.*nested=True") as caught:
            runwire.start_run()
        assert run.run_id in str(caught.value)
        assert runwire.active_run() is run


def test_nested_runs_know_their_parent_and_give_way_to_it() -> None:
    with runwire.start_run(run_name="outer") as outer:
        with runwire.start_run(run_name="inner", nested=True) as inner:
            runwire.log_metric("m", 1)
            assert runwire.active_run() is inner
        assert runwire.active_run() is outer
        runwire.log_metric("m", 2)
    assert runwire.active_run() is None
    parent = runwire.get_parent_run(inner.run_id)
    assert parent is not None
    assert parent.run_id == outer.run_id
    assert runwire.get_parent_run(outer.run_id) is None
    assert runwire.get_run(inner.run_id).data.metrics == {"m": 1.0}
    assert runwire.get_run(outer.run_id).data.metrics == {"m": 2.0}


def test_parent_can_be_named_by_its_id() -> None:
    with runwire.start_run() as first:
        pass
    with runwire.start_run(parent_run_id=first.run_id) as second:
        pass
    parent = runwire.get_parent_run(second.run_id)
    assert parent is not None
    assert parent.run_id == first.run_id


def test_run_is_resumed_by_its_id() -> None:
    with runwire.start_run(run_name="kept") as first:
        runwire.log_metric("m", 1, step=1)
    with runwire.start_run(
        run_id=first.run_id, tags={"again": True}, description="longer"
    ) as again:
        assert again.run_id == first.run_id
        assert again.info.run_name == "kept"
        runwire.log_metric("m", 2, step=2)
        assert runwire.get_run(first.run_id).info.status == "RUNNING"
    read = runwire.get_run(first.run_id)
    assert (read.info.status, read.data.metrics) == ("FINISHED", {"m": 2.0})
    assert read.data.tags["again"] == "True"
    assert read.data.tags["mlflow.note.content"] == "longer"


def test_run_of_the_environment_is_resumed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with runwire.start_run() as first:
        pass
    monkeypatch.setenv("RUNWIRE_RUN_ID", first.run_id)
    with runwire.start_run() as again:
        assert again.run_id == first.run_id
    with runwire.start_run() as other:
        assert other.run_id != first.run_id


@pytest.mark.parametrize("wrong", ["", "x", "0" * 31, "G" * 32, "A" * 32, 7])
def test_id_that_cannot_be_one_is_refused(wrong: str) -> None:
    with pytest.raises(runwire.InvalidArgumentError, match="no run's id"):
        runwire.get_run(wrong)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("boom"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(0), "FINISHED"),
        (SystemExit(3), "FAILED"),
    ],
)
def test_how_a_block_ends_is_how_its_run_ends(error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), runwire.start_run() as run:
        raise error
    assert runwire.get_run(run.run_id).info.status == status


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_end_run_takes_a_status(status: str) -> None:
    run = runwire.start_run()
    runwire.end_run(status)
    assert runwire.active_run() is None
    assert runwire.get_run(run.run_id).info.status == status
    runwire.end_run()  # there is none: nothing happens


def test_end_run_refuses_a_status_that_is_none() -> None:
    with runwire.start_run() as run:
        with pytest.raises(runwire.InvalidArgumentError, match="FINISHED, FAILED, KILLED"):
            runwire.end_run("DONE")
        assert runwire.active_run() is run


def test_leftovers_of_old_tutorials_get_a_message_and_no_crash() -> None:
    run = runwire.start_run()
    with pytest.warns(UserWarning, match=r"run_name is ignored.*start_run\(run_name"):
        runwire.end_run(run_name="late")
    assert runwire.active_run() is None
    assert runwire.get_run(run.run_id).info.status == "FINISHED"


def test_last_active_run_is_the_active_one_or_the_one_that_ended_last() -> None:
    assert runwire.last_active_run() is None
    with runwire.start_run() as run:
        assert runwire.last_active_run() is run
    last = runwire.last_active_run()
    assert last is run
    assert last.info.status == "FINISHED"


def test_log_call_without_a_run_starts_one() -> None:
    runwire.log_metric("m", 1)
    run = runwire.active_run()
    assert run is not None
    runwire.log_param("p", 1)
    runwire.end_run()
    read = runwire.get_run(run.run_id)
    assert (read.data.metrics, read.data.params) == ({"m": 1.0}, {"p": "1"})


def test_finish_can_wait_for_the_server() -> None:
    run = runwire.start_run()
    assert run.finish("FAILED", wait=True, timeout=120)
    with runwire.Client() as client:
        assert client.runs.get(run.run_id).state == 4


def test_ended_run_takes_nothing_more() -> None:
    with runwire.start_run() as run:
        pass
    calls: list[Callable[[], None]] = [
        lambda: run.log_metric("m", 1),
        lambda: run.log_params({"a": 1}),
        lambda: run.set_tags({"a": 1}),
    ]
    for log in calls:
        with pytest.raises(runwire.FailedPreconditionError, match="has ended") as caught:
            log()
        assert caught.value.reason == "RUN_SEALED"


def test_system_metrics_are_noted_as_not_offered(caplog: pytest.LogCaptureFixture) -> None:
    with runwire.start_run(log_system_metrics=True):
        pass
    assert "no system metrics" in caplog.text


# Metrics, params, tags --------------------------------------------------------------------


def test_metrics_of_all_kinds_arrive_as_they_were_logged() -> None:
    import numpy as np

    with runwire.start_run() as run:
        runwire.log_metrics({"a": 1, "b": np.float32(0.5), "c": True}, step=np.int64(3))
        runwire.log_metrics({"nan": math.nan, "inf": math.inf, "minus": -math.inf})
        runwire.log_metric("timed", 1, step=-5, timestamp=1_600_000_000_123)
    metrics = runwire.get_run(run.run_id).data.metrics  # sends what was logged, too
    assert math.isnan(metrics.pop("nan"))
    assert metrics == {
        "a": 1.0, "b": 0.5, "c": 1.0, "inf": math.inf, "minus": -math.inf, "timed": 1.0
    }  # fmt: skip
    read = _series(run.run_id)
    assert list(read[run.run_id, "a"].steps) == [3]
    assert list(read[run.run_id, "timed"].steps) == [-5]
    assert list(read[run.run_id, "timed"].times_micros) == [1_600_000_000_123_000]
    assert list(read[run.run_id, "nan"].steps) == [0]


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("m", "text", TypeError),
        ("m", None, TypeError),
        ("m", [1, 2], TypeError),
        ("", 1.0, ValueError),
        ("k" * 513, 1.0, ValueError),
        ("a\nb", 1.0, ValueError),
        (7, 1.0, TypeError),
    ],
)
def test_wrong_metric_raises_at_once_and_the_run_goes_on(
    key: str, value: float, error: type[Exception]
) -> None:
    with runwire.start_run() as run:
        with pytest.raises(error):
            runwire.log_metric(key, value)
        with pytest.raises(TypeError):
            runwire.log_metric("m", 1.0, step="one")  # type: ignore[arg-type]
        runwire.log_metric("good", 1.0)
    assert runwire.get_run(run.run_id).data.metrics == {"good": 1.0}


def test_param_is_written_once() -> None:
    with runwire.start_run() as run:
        assert runwire.log_param("lr", 0.1) == 0.1
        runwire.log_param("lr", "0.1")
        with pytest.raises(runwire.FailedPreconditionError, match="written once") as caught:
            runwire.log_params({"other": 1, "lr": 0.2})
        assert (caught.value.reason, caught.value.metadata) == ("PARAM_CONFLICT", {"key": "lr"})
    assert runwire.get_run(run.run_id).data.params == {"lr": "0.1"}


@pytest.mark.parametrize("log", [runwire.log_param, runwire.set_tag])
@pytest.mark.parametrize(
    ("key", "value"),
    [("", "v"), ("k" * 10_000, "v"), ("k", "v" * 65_537), ("k", "a\0b"), ("k", "\ud800")],
)
def test_wrong_param_or_tag_raises_at_once(log: object, key: str, value: str) -> None:
    with runwire.start_run() as run, pytest.raises(runwire.InvalidArgumentError):
        log(key, value)  # type: ignore[operator]
    read = runwire.get_run(run.run_id)
    assert read.data.params == {}
    assert [tag for tag in read.data.tags if not tag.startswith("mlflow.")] == []


def test_tags_change_and_go() -> None:
    with runwire.start_run() as run:
        runwire.set_tags({"a": 1, "b": 2})
        runwire.set_tag("a", 3)
        runwire.delete_tag("b")
    tags = runwire.get_run(run.run_id).data.tags
    assert (tags["a"], "b" in tags) == ("3", False)


def test_batch_takes_all_kinds() -> None:
    with runwire.start_run() as run:
        runwire.log_batch(metrics={"m": 1}, params={"p": 2}, tags={"t": 3}, step=4)
    read = runwire.get_run(run.run_id)
    assert (read.data.metrics, read.data.params, read.data.tags["t"]) == (
        {"m": 1.0},
        {"p": "2"},
        "3",
    )


def test_another_run_is_written_to_by_its_id() -> None:
    with runwire.Client() as client:
        other = client.runs.create(name="other").run_id
    with runwire.start_run() as run:
        for step in range(3):
            runwire.log_metric("m", step, step=step, run_id=other)
        runwire.log_metrics({"mine": 1}, run_id=run.run_id)
        runwire.set_tags({"t": 1}, run_id=other)
    read = runwire.get_run(other)
    assert (read.data.metrics, read.data.tags["t"], read.info.status) == (
        {"m": 2.0},
        "1",
        "RUNNING",
    )
    assert runwire.get_run(run.run_id).data.metrics == {"mine": 1.0}


def test_synchronous_call_is_readable_when_it_returns() -> None:
    with runwire.start_run() as run, runwire.Client() as client:
        runwire.log_metric("m", 1, synchronous=True)
        assert client.runs.get(run.run_id).metrics["m"] == 1.0


def test_input_is_described() -> None:
    import pandas as pd

    frame = pd.DataFrame({"x": [1, 2, 3], "y": [0, 1, 0]})
    dataset = runwire.data.from_pandas(frame, source="s3://b/taxi.csv", name="taxi", targets="y")
    with runwire.start_run() as run:
        runwire.log_input(dataset, context="training", tags={"split": 1})  # type: ignore[dict-item]
    (read,) = runwire.get_run(run.run_id).inputs.dataset_inputs
    assert (read.name, read.digest, read.source_type) == ("taxi", dataset.digest, "s3")
    assert read.tags == {"context": "training", "split": "1"}
    assert '"x"' in read.schema
    found = runwire.search_runs(filter_string="datasets.name = 'taxi'", output_format="list")
    assert [one.run_id for one in found] == [run.run_id]


def test_autolog_says_that_it_records_nothing(caplog: pytest.LogCaptureFixture) -> None:
    runwire.autolog(log_models=False)
    assert "records nothing" in caplog.text


# Where it goes ----------------------------------------------------------------------------


def test_tracking_uri_is_for_this_process_and_those_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNWIRE_TRACKING_URI")
    assert not runwire.is_tracking_uri_set()
    assert runwire.get_tracking_uri() == str(tmp_path / "runwire-data")
    runwire.set_tracking_uri("sqlite:///x.db")
    assert runwire.is_tracking_uri_set()
    assert runwire.get_tracking_uri() == f"sqlite:///{tmp_path}/x.db"
    assert os.environ["RUNWIRE_TRACKING_URI"] == runwire.get_tracking_uri()
    runwire.set_tracking_uri(tmp_path / "folder")
    assert runwire.get_tracking_uri() == str(tmp_path / "folder")
    runwire.set_tracking_uri("")
    assert not runwire.is_tracking_uri_set()
    with pytest.raises(runwire.InvalidArgumentError):
        runwire.set_tracking_uri("localhost:5000")


def test_logging_does_not_need_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWIRE_UPLOADER", "off")
    runwire.set_tracking_uri("grpc://127.0.0.1:1")
    with runwire.start_run() as run:
        runwire.log_params({"a": 1})
        runwire.log_metrics({"m": 1})
        runwire.log_text("x", "x.txt")
        assert run.info.status == "RUNNING"
    assert runwire.flush(timeout=0.1) is False


def test_reading_what_has_not_been_sent_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUNWIRE_MODE", "offline")
    with runwire.start_run():
        runwire.log_metric("m", 1)
    assert runwire.search_runs(output_format="list", search_all_experiments=True) == []
    assert "has not all arrived" in caplog.text


def test_folder_that_cannot_hold_a_journal_is_told_when_the_run_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RUNWIRE_DIR", str(tmp_path / "file"))
    runwire.set_tracking_uri("elsewhere")
    with pytest.raises(runwire.UnavailableError, match="RUNWIRE_DIR names another") as caught:
        runwire.start_run()
    assert caught.value.reason == "STORAGE_UNAVAILABLE"
    assert runwire.active_run() is None


def test_journals_lie_beside_local_data_else_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runwire._settings import journals_folder

    assert journals_folder("/d") == tmp_path / "journals"
    monkeypatch.delenv("RUNWIRE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert journals_folder("/d") == Path("/d/journals")
    assert journals_folder("sqlite:////d/x.db") == Path("/d/journals")
    assert journals_folder("grpc://h") == tmp_path / "runwire" / "journals"


def test_user_without_a_home_can_log_to_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from runwire._settings import journals_folder

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("RUNWIRE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert journals_folder("grpc://h").is_relative_to(tempfile.gettempdir())


def test_hot_path_goes_straight_to_the_journal() -> None:
    """No frame between ``runwire.log_metrics`` and the journal's own ``log_metrics``."""
    import sys

    names: list[str] = []

    def profile(frame: object, event: str, argument: object) -> None:
        if event == "call":
            names.append(frame.f_code.co_qualname)  # type: ignore[attr-defined]

    with runwire.start_run():
        runwire.log_metrics({"a": 1.0, "b": 2.0}, step=1)
        gc.disable()  # its callbacks are calls, too
        sys.setprofile(profile)
        try:
            runwire.log_metrics({"a": 1.0, "b": 2.0}, step=2)
        finally:
            sys.setprofile(None)
            gc.enable()
    assert names == ["log_metrics", "RunLog.log_metrics"]


def test_status_words_cover_what_ends_a_run() -> None:
    assert _active.status_after(None, None) == "FINISHED"
    assert _active.status_after(ValueError, ValueError()) == "FAILED"


def test_run_after_somebody_deleted_the_journal_arrives_and_the_loss_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNWIRE_UPLOADER", "off")  # nobody else has the folder in hand
    with runwire.start_run() as first:
        runwire.log_metric("m", 1)
    monkeypatch.setenv("RUNWIRE_UPLOADER", "thread")
    folder = first.log.journal.directory
    shutil.rmtree(folder)
    with runwire.start_run() as second:
        runwire.log_metric("m", 2)
    assert runwire.get_run(second.run_id).data.metrics == {"m": 2.0}
    assert f"{folder} was deleted" in caplog.text


def test_flush_does_not_wait_for_a_journal_that_somebody_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNWIRE_UPLOADER", "off")  # nobody else has the folder in hand
    with runwire.start_run() as run:
        runwire.log_metric("m", 1)
    shutil.rmtree(run.log.journal.directory)
    with pytest.raises(runwire.DataLossError, match="was deleted"):
        runwire.flush()
    assert runwire.flush()
