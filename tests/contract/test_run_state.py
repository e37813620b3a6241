"""What is promised of the states of a run, and of the verbs that change them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import pytest
import runwire
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName
from runwire.v1.run_pb2 import Run

State = Literal["SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"]


def _batch(sequence: int, value: float = 1.0) -> MetricBatch:
    return MetricBatch(
        sequence=sequence,
        series=[SeriesName(id=1, key="loss")],
        frames=[Frame(series=[1], steps=[sequence], times_micros=[sequence], values=[value])],
    )


@pytest.mark.parametrize("state", ["FINISHED", "FAILED", "KILLED"])
def test_a_run_ends_in_the_state_it_is_told(client: runwire.Client, state: State) -> None:
    run = client.runs.create()
    ended = client.runs.finish(run.run_id, state=state)
    assert Run.State.Name(ended.state) == f"STATE_{state}"
    assert ended.end_time.ToDatetime() >= ended.start_time.ToDatetime()
    assert client.runs.get(run.run_id) == ended


def test_an_end_time_can_be_given(client: runwire.Client) -> None:
    run = client.runs.create()
    end = datetime(2026, 3, 4, 5, 6, 7, 891011, UTC)
    assert client.runs.finish(run.run_id, end_time=end).end_time.ToDatetime(UTC) == end


@pytest.mark.parametrize("state", ["SCHEDULED", "RUNNING"])
def test_a_run_does_not_end_in_a_state_that_is_no_end(client: runwire.Client, state: State) -> None:
    run = client.runs.create()
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.runs.finish(run.run_id, state=state)
    assert error.value.metadata["field"] == "state"


def test_finishing_again_changes_nothing_and_otherwise_is_refused(client: runwire.Client) -> None:
    run = client.runs.create()
    ended = client.runs.finish(run.run_id)
    assert client.runs.finish(run.run_id) == ended
    with pytest.raises(runwire.FailedPreconditionError) as error:
        client.runs.finish(run.run_id, state="FAILED")
    assert error.value.reason == "RUN_SEALED"
    assert error.value.metadata == {"run_id": run.run_id, "state": "FINISHED"}
    assert client.runs.get(run.run_id) == ended


def test_a_run_is_not_seen_finished_before_its_data_is_in(client: runwire.Client) -> None:
    run = client.runs.create()
    client.metrics.log_batch(run.run_id, _batch(1), writer_id="rank0")
    waiting = client.runs.finish(run.run_id, after={"rank0": 3})
    assert waiting.state == Run.STATE_RUNNING
    client.metrics.log_batch(run.run_id, _batch(2), writer_id="rank0")
    assert client.runs.get(run.run_id).state == Run.STATE_RUNNING
    client.metrics.log_batch(run.run_id, _batch(3, 7.0), writer_id="rank0")
    ended = client.runs.get(run.run_id)
    assert (ended.state, ended.metrics["loss"]) == (Run.STATE_FINISHED, 7.0)


def test_a_finish_may_arrive_before_the_first_batch(client: runwire.Client) -> None:
    run = client.runs.create()
    end = datetime(2026, 3, 4, tzinfo=UTC)
    client.runs.finish(run.run_id, state="FAILED", end_time=end, after={"rank0": 1})
    client.metrics.log_batch(run.run_id, _batch(1), writer_id="rank0")
    ended = client.runs.get(run.run_id)
    assert (ended.state, ended.end_time.ToDatetime(UTC)) == (Run.STATE_FAILED, end)


def test_a_writer_that_finished_the_run_is_sealed_and_another_rank_writes_on(
    client: runwire.Client,
) -> None:
    run = client.runs.create()
    for rank in ("rank0", "rank1"):
        client.metrics.log_batch(run.run_id, _batch(1), writer_id=rank)
    assert client.runs.finish(run.run_id, after={"rank0": 1}).state == Run.STATE_FINISHED
    with pytest.raises(runwire.FailedPreconditionError) as error:
        client.metrics.log_batch(run.run_id, _batch(2), writer_id="rank0")
    assert error.value.reason == "RUN_SEALED"
    client.metrics.log_batch(run.run_id, _batch(2, 8.0), writer_id="rank1")
    assert client.runs.get(run.run_id).metrics["loss"] == 8.0


def test_a_finished_run_rejects_metrics(client: runwire.Client) -> None:
    run = client.runs.create()
    client.metrics.log(run.run_id, {"loss": 1.0})
    client.runs.finish(run.run_id)
    with pytest.raises(runwire.FailedPreconditionError) as error:
        client.metrics.log(run.run_id, {"loss": 2.0})
    assert error.value.reason == "RUN_SEALED"
    assert client.runs.get(run.run_id).metrics["loss"] == 1.0


@pytest.mark.parametrize("after", [{"w": -1}, {"": 1}, {"a\0b": 1}, {"w" * 65: 1}], ids=str)
def test_a_finish_after_what_cannot_be_is_refused(
    client: runwire.Client, after: dict[str, int]
) -> None:
    run = client.runs.create()
    with pytest.raises((runwire.InvalidArgumentError, runwire.ResourceExhaustedError)) as error:
        client.runs.finish(run.run_id, after=after)
    assert error.value.metadata["field"] == "after"
    assert client.runs.get(run.run_id) == run


def test_a_resumed_run_takes_data_of_new_writers(client: runwire.Client) -> None:
    run = client.runs.create()
    client.runs.finish(run.run_id, state="FAILED")
    resumed = client.runs.resume(run.run_id)
    assert resumed.state == Run.STATE_RUNNING
    assert not resumed.HasField("end_time")
    client.metrics.log_batch(run.run_id, _batch(1), writer_id="second start")
    assert client.runs.finish(run.run_id).state == Run.STATE_FINISHED


def test_resuming_a_run_under_way_changes_nothing(client: runwire.Client) -> None:
    run = client.runs.create()
    assert client.runs.resume(run.run_id) == run


def test_a_scheduled_run_takes_data_and_can_be_started(client: runwire.Client) -> None:
    run = client.runs.create(state="SCHEDULED")
    client.metrics.log(run.run_id, {"loss": 1.0})
    assert client.runs.resume(run.run_id).state == Run.STATE_RUNNING


def test_a_job_learns_with_its_next_data_that_it_is_to_stop(client: runwire.Client) -> None:
    run = client.runs.create()
    response = client.metrics.log_batch(run.run_id, _batch(1), writer_id="w")
    assert not response.advice.stop_requested
    assert client.runs.stop(run.run_id, reason="diverged").state == Run.STATE_RUNNING
    response = client.metrics.log_batch(run.run_id, _batch(2), writer_id="w")
    assert response.advice.stop_requested


def test_a_heartbeat_is_enough_to_learn_that_it_is_to_stop(client: runwire.Client) -> None:
    run = client.runs.create()
    client.runs.stop(run.run_id)
    assert client.metrics.log_batch(run.run_id, writer_id="w").advice.stop_requested


def test_a_run_that_is_over_has_nothing_to_stop(client: runwire.Client) -> None:
    run = client.runs.create()
    ended = client.runs.finish(run.run_id)
    assert client.runs.stop(run.run_id) == ended
