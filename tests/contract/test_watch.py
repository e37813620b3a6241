"""What is promised of watches: every change of the runs that match, as the run is after it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import runwire
from runwire.v1.run_pb2 import Run


def changed(watch: Any) -> Run:
    """The next run that has changed."""
    run: Run = next(event.changed for event in watch if event.HasField("changed"))
    return run


def begun(watch: Any) -> None:
    """Wait until it watches."""
    assert next(watch).HasField("mark")


def test_each_change_of_a_run_is_told(client: runwire.Client) -> None:
    with client.runs.watch(view="FULL") as watch:
        begun(watch)
        run_id = client.runs.create(name="a", params={"lr": "1"}).run_id
        told = changed(watch)
        assert (told.run_id, told.name, told.params["lr"]) == (run_id, "a", "1")
        steps: list[tuple[Callable[[], object], Callable[[Run], object]]] = [
            (lambda: client.runs.update(run_id, name="b"), lambda run: run.name == "b"),
            (lambda: client.runs.update(run_id, tags={"x": "1"}), lambda run: run.tags["x"]),
            (lambda: client.runs.stop(run_id, reason="r"), lambda run: run.revision),
            (lambda: client.runs.finish(run_id), lambda run: run.state == Run.STATE_FINISHED),
            (lambda: client.runs.resume(run_id), lambda run: run.state == Run.STATE_RUNNING),
            (lambda: client.runs.delete(run_id), lambda run: run.HasField("delete_time")),
            (lambda: client.runs.restore(run_id), lambda run: not run.HasField("delete_time")),
        ]
        for change, is_told in steps:
            change()
            run = changed(watch)
            assert run.run_id == run_id
            assert is_told(run)


def test_what_batches_bring_is_told(client: runwire.Client) -> None:
    from runwire.v1.metric_pb2 import MetricBatch

    run_id = client.runs.create().run_id
    with client.runs.watch(columns=["params.lr", "metrics.loss"]) as watch:
        begun(watch)
        client.metrics.log_batch(run_id, MetricBatch(params={"lr": "0.1"}))
        assert dict(changed(watch).params) == {"lr": "0.1"}
        client.metrics.log(run_id, {"loss": 0.5})
        assert dict(changed(watch).metrics) == {"loss": 0.5}


def test_only_runs_that_match_are_told(client: runwire.Client) -> None:
    other = client.experiments.create("other").experiment_id
    home = client.experiments.create("home").experiment_id
    with client.runs.watch([home], filter="tags.team = 'nlp' AND state = 'RUNNING'") as watch:
        begun(watch)
        client.runs.create(experiment_id=other, tags={"team": "nlp"})
        client.runs.create(experiment_id=home, tags={"team": "vision"})
        later = client.runs.create(experiment_id=home).run_id
        client.runs.update(later, tags={"team": "nlp"})
        assert changed(watch).run_id == later
        client.runs.finish(later)
        last = client.runs.create(experiment_id=home, tags={"team": "nlp"}).run_id
        assert changed(watch).run_id == last


def test_a_watch_goes_on_where_it_was(client: runwire.Client) -> None:
    with client.runs.watch() as watch:
        begun(watch)
    run_ids = {client.runs.create(name=f"run {number}").run_id for number in range(150)}
    renamed = min(run_ids)
    for name in ("once", "twice"):
        client.runs.update(renamed, name=name)
    with client.runs.watch(cursor=watch.cursor) as again:
        told = [changed(again) for _ in range(75)]
    with client.runs.watch(cursor=again.cursor) as again:
        told += [changed(again) for _ in range(75)]
        assert next(again).HasField("mark")
    assert {run.run_id for run in told} == run_ids
    assert [run.name for run in told if run.run_id == renamed] == ["twice"]


def test_workspaces_are_watched_apart(client: runwire.Client) -> None:
    with client.runs.watch(workspace="b") as watch:
        begun(watch)
        client.runs.create(experiment_name="x", workspace="a")
        run_id = client.runs.create(experiment_name="x", workspace="b").run_id
        assert changed(watch).run_id == run_id


def test_what_makes_no_sense_is_refused(client: runwire.Client) -> None:
    for options in (
        {"filter": "metrics.loss <"},
        {"filter": "nonsense = 1"},
        {"experiment_ids": ["x"]},
        {"columns": ["nonsense"]},
        {"cursor": b"x"},
    ):
        with pytest.raises(runwire.InvalidArgumentError):
            next(client.runs.watch(**options))
    with client.runs.watch() as watch:
        begun(watch)
    with pytest.raises(runwire.InvalidArgumentError) as error:
        next(client.runs.watch(cursor=watch.cursor, filter="name = 'x'"))
    assert error.value.metadata["field"] == "cursor"


def test_a_closed_watch_ends(client: runwire.Client) -> None:
    watch = client.runs.watch()
    begun(watch)
    watch.close()
    with suppress(StopIteration):
        next(watch)
        raise AssertionError("it goes on")
