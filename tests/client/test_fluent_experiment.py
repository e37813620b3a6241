"""Experiments through the fluent API."""

from __future__ import annotations

import os
from collections.abc import Iterator

import backends
import pytest
import runwire
from runwire import _session

from client.sessions import session


@pytest.fixture(autouse=True)
def fluent(server: backends.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with session(server, monkeypatch):
        yield


def test_run_goes_to_the_experiment_that_was_set() -> None:
    experiment = runwire.set_experiment("taxi")
    with runwire.start_run() as run:
        pass
    assert experiment.name == "taxi"
    assert runwire.get_run(run.run_id).info.experiment_id == experiment.experiment_id
    assert runwire.get_experiment(experiment.experiment_id).name == "taxi"
    assert (experiment.lifecycle_stage, experiment.tags) == ("active", {})


def test_run_goes_to_the_experiment_of_an_id() -> None:
    made = runwire.create_experiment("by-id", tags={"a": 1})
    with runwire.start_run(experiment_id=made) as run:
        assert run.info.experiment_id == made
    runwire.set_experiment(experiment_id=made)
    with runwire.start_run() as second:
        pass
    found = runwire.search_runs(output_format="list")
    assert {one.run_id for one in found} == {run.run_id, second.run_id}
    assert runwire.get_experiment(made).tags == {"a": "1"}


def test_without_an_experiment_runs_go_to_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNWIRE_EXPERIMENT_NAME")
    with runwire.start_run() as run:
        pass
    assert runwire.get_run(run.run_id).info.experiment_id == "0"


def test_setting_an_experiment_asks_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_session, "client", None)
    runwire.set_experiment("offline")
    assert os.environ["RUNWIRE_EXPERIMENT_NAME"] == "offline"
    runwire.set_experiment(experiment_id="7")
    assert "RUNWIRE_EXPERIMENT_NAME" not in os.environ


@pytest.mark.parametrize(
    "wrong",
    [{}, {"experiment_name": "a", "experiment_id": "1"}, {"experiment_name": " "},
     {"experiment_id": "taxi"}, {"experiment_id": True}],
)  # fmt: skip
def test_experiment_that_cannot_be_one_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(runwire.InvalidArgumentError):
        runwire.set_experiment(**wrong)


def test_experiments_are_found_tagged_deleted_and_restored() -> None:
    made = runwire.create_experiment("one")
    with pytest.raises(runwire.AlreadyExistsError):
        runwire.create_experiment("one")
    runwire.set_experiment("one")
    runwire.set_experiment_tag("team", "nlp")
    runwire.set_experiment_tags({"year": 2026})
    (found,) = runwire.search_experiments(filter_string="tags.team = 'nlp'")
    assert (found.experiment_id, found.tags) == (made, {"team": "nlp", "year": "2026"})
    runwire.delete_experiment(made)
    assert runwire.get_experiment(made).lifecycle_stage == "deleted"
    assert runwire.get_experiment_by_name("one") is None
    assert [one.name for one in runwire.search_experiments("DELETED_ONLY")] == ["one"]
    runwire.restore_experiment(made)
    again = runwire.get_experiment_by_name("one")
    assert again is not None
    assert again.experiment_id == made
