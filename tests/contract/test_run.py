"""What is promised of runs."""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
import runwire
from runwire.v1.metric_pb2 import MetricBatch
from runwire.v1.run_pb2 import DatasetInput, Run, Source

State = Literal["SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"]

UNKNOWN = "0" * 32
WRONG_IDS = {
    "empty": "",
    "short": "abc123",
    "upper case": "ABCDEF" + "0" * 26,
    "long": "a" * 33,
    "not hex": "g" * 32,
    "dashes": "01234567-89ab-cdef-0123-456789abcdef",
    "other digits": "١" * 32,
    "nul": "0" * 31 + "\0",
}


def _id() -> str:
    return uuid.uuid4().hex


def _ids(runs: object) -> list[str]:
    return [run.run_id for run in runs]  # type: ignore[attr-defined]


# Create and get ---------------------------------------------------------------------------


def test_a_run_is_running_in_the_default_experiment_unless_said_otherwise(
    client: runwire.Client,
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    run = client.runs.create()
    assert len(run.run_id) == 32
    assert (run.experiment_id, run.state) == ("0", Run.STATE_RUNNING)
    assert before <= run.start_time.ToDatetime(UTC) <= datetime.now(UTC) + timedelta(seconds=1)
    assert not run.HasField("end_time")
    assert client.runs.get(run.run_id) == run


def test_what_was_created_is_kept(client: runwire.Client) -> None:
    start = datetime(2026, 3, 4, 5, 6, 7, 891011, UTC)
    source = Source(
        name="train.py",
        kind="script",
        git_commit="c0ffee",
        git_branch="main",
        git_dirty=True,
        command=["python", "train.py", "--größe"],
        host="gpu-1",
        language="python 3.12",
    )
    inputs = [DatasetInput(name="digits", digest="d1", tags={"context": "train"})]
    parent = _id()
    run = client.runs.create(
        name="Größe 🧪",
        description="Why.\nHow.",
        state="SCHEDULED",
        user="ana",
        source=source,
        parent_run_id=parent,
        start_time=start,
        params={"lr": "0.1", "größe": "", "long": "x" * 64 * 1024},
        tags={"team": "nlp\n", "🧪": "🧪"},
        inputs=inputs,
    )
    found = client.runs.get(run.run_id)
    assert found == run
    assert (found.name, found.description, found.user) == ("Größe 🧪", "Why.\nHow.", "ana")
    assert (found.state, found.parent_run_id) == (Run.STATE_SCHEDULED, parent)
    assert found.start_time.ToDatetime(UTC) == start
    assert found.source == source
    assert dict(found.params) == {"lr": "0.1", "größe": "", "long": "x" * 64 * 1024}
    assert dict(found.tags) == {"team": "nlp\n", "🧪": "🧪"}
    assert list(found.inputs) == inputs


def test_a_run_created_twice_is_one_run_as_it_was_first(client: runwire.Client) -> None:
    run_id = _id()
    first = client.runs.create(run_id=run_id, name="first", params={"lr": "1"})
    second = client.runs.create(run_id=run_id, name="second", params={"lr": "2"})
    assert second == first
    assert _ids(client.runs.search()) == [run_id]


def test_a_run_created_again_comes_with_everything_it_has_by_now(client: runwire.Client) -> None:
    run = client.runs.create(run_id=_id(), params={"lr": "1"})
    client.metrics.log(run.run_id, {"loss": 0.5})
    again = client.runs.create(run_id=run.run_id)
    assert (dict(again.params), dict(again.metrics)) == ({"lr": "1"}, {"loss": 0.5})


def test_a_run_created_by_many_at_once_is_one_run(client: runwire.Client) -> None:
    run_id, barrier = _id(), threading.Barrier(8)

    def call(_: int) -> str:
        barrier.wait()
        return client.runs.create(run_id=run_id, experiment_name="shared").experiment_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(call, range(8)))) == 1
    assert _ids(client.runs.search()) == [run_id]


def test_an_experiment_named_by_a_run_is_made_once(client: runwire.Client) -> None:
    runs = [client.runs.create(experiment_name="new") for _ in range(3)]
    made = client.experiments.get(name="new")
    assert {run.experiment_id for run in runs} == {made.experiment_id}


def test_an_experiment_id_goes_before_a_name(client: runwire.Client) -> None:
    assert client.runs.create(experiment_id="0", experiment_name="unused").experiment_id == "0"
    with pytest.raises(runwire.NotFoundError):
        client.experiments.get(name="unused")


def test_a_run_of_an_unknown_experiment_is_refused(client: runwire.Client) -> None:
    with pytest.raises(runwire.NotFoundError) as error:
        client.runs.create(experiment_id="12345")
    assert error.value.metadata == {"kind": "experiment", "key": "12345"}


@pytest.mark.parametrize("wrong", [id for id in WRONG_IDS.values() if id], ids=str)
def test_what_is_no_run_id_cannot_be_created(client: runwire.Client, wrong: str) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.runs.create(run_id=wrong)
    assert error.value.metadata["field"] == "run.run_id"
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.runs.create(parent_run_id=wrong)
    assert error.value.metadata["field"] == "run.parent_run_id"


@pytest.mark.parametrize("wrong", WRONG_IDS.values(), ids=WRONG_IDS)
def test_what_is_no_run_id_is_refused_everywhere(client: runwire.Client, wrong: str) -> None:
    for call in _calls(client):
        with pytest.raises(runwire.InvalidArgumentError) as error:
            call(wrong)
        assert error.value.reason == "FIELD_INVALID"
        assert error.value.metadata["field"] == "run_id"


def test_an_unknown_run_is_not_found_by_any_call(client: runwire.Client) -> None:
    for call in _calls(client):
        with pytest.raises(runwire.NotFoundError) as error:
            call(UNKNOWN)
        assert error.value.reason == "NOT_FOUND"
        assert error.value.metadata == {"kind": "run", "key": UNKNOWN}


def _calls(client: runwire.Client) -> list[Callable[[str], object]]:
    return [
        client.runs.get,
        client.runs.finish,
        client.runs.resume,
        client.runs.stop,
        client.runs.delete,
        client.runs.restore,
        lambda run_id: client.runs.update(run_id, name="n"),
    ]


@pytest.mark.parametrize("state", ["FINISHED", "FAILED", "KILLED"])
def test_a_new_run_is_not_over(client: runwire.Client, state: State) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.runs.create(state=state)
    assert error.value.metadata["field"] == "run.state"


BAD_ENTRIES = {
    "no key": ("", "v", "FIELD_INVALID"),
    "10,000 bytes of key": ("k" * 10_000, "v", "TOO_LARGE"),
    "513 bytes of key": ("k" * 513, "v", "TOO_LARGE"),
    "a NUL in the key": ("a\0b", "v", "FIELD_INVALID"),
    "a newline in the key": ("a\nb", "v", "FIELD_INVALID"),
    "a NUL in the value": ("k", "a\0b", "FIELD_INVALID"),
    "64 KiB and a byte of value": ("k", "x" * (64 * 1024 + 1), "TOO_LARGE"),
}


@pytest.mark.parametrize(("key", "value", "reason"), BAD_ENTRIES.values(), ids=BAD_ENTRIES)
def test_a_param_or_tag_that_cannot_be_kept_is_refused_with_its_run(
    client: runwire.Client, key: str, value: str, reason: str
) -> None:
    run_id = _id()
    entries = {"good": "v", key: value}
    creates: list[Callable[[], Run]] = [
        lambda: client.runs.create(run_id=run_id, params=entries),
        lambda: client.runs.create(run_id=run_id, tags=entries),
    ]
    for create in creates:
        with pytest.raises(runwire.RunwireError) as error:
            create()
        assert error.value.reason == reason
    with pytest.raises(runwire.NotFoundError):
        client.runs.get(run_id)


def test_text_with_a_nul_is_refused_in_every_field(client: runwire.Client) -> None:
    nul = "a\0b"
    creates: list[Callable[[], Run]] = [
        lambda: client.runs.create(name=nul),
        lambda: client.runs.create(description=nul),
        lambda: client.runs.create(user=nul),
        lambda: client.runs.create(experiment_name=nul),
        lambda: client.runs.create(experiment_name="e", workspace=nul),
        lambda: client.runs.create(source=Source(name=nul)),
        lambda: client.runs.create(source=Source(git_commit=nul)),
        lambda: client.runs.create(inputs=[DatasetInput(name=nul)]),
        lambda: client.runs.create(inputs=[DatasetInput(name="n", digest=nul)]),
    ]
    for create in creates:
        with pytest.raises(runwire.InvalidArgumentError) as error:
            create()
        assert error.value.reason == "FIELD_INVALID"
    assert list(client.runs.search()) == []


def test_a_message_over_4_mib_is_refused_and_nothing_is_kept(client: runwire.Client) -> None:
    params = {f"p{i}": "x" * 64 * 1024 for i in range(70)}
    with pytest.raises(runwire.ResourceExhaustedError):
        client.runs.create(params=params)
    assert list(client.runs.search()) == []


# Params, tags, metrics, inputs ------------------------------------------------------------


def test_a_param_is_written_once(client: runwire.Client) -> None:
    run = client.runs.create(params={"lr": "0.1"})
    batch = MetricBatch(params={"lr": "0.1", "new": "1"})
    assert not client.metrics.log_batch(run.run_id, batch).ack.rejections
    batch = MetricBatch(params={"lr": "0.2", "other": "2"})
    (rejection,) = client.metrics.log_batch(run.run_id, batch).ack.rejections
    assert (rejection.key, rejection.fault.reason) == ("lr", "PARAM_CONFLICT")
    found = client.runs.get(run.run_id)
    assert dict(found.params) == {"lr": "0.1", "new": "1", "other": "2"}


def test_tags_and_inputs_of_batches_are_shown(client: runwire.Client) -> None:
    run = client.runs.create(tags={"a": "1", "b": "1"})
    digits = DatasetInput(name="digits", digest="d1")
    batch = MetricBatch(tags={"a": "2", "c": "2"}, removed_tags=["b"], inputs=[digits, digits])
    client.metrics.log_batch(run.run_id, batch)
    found = client.runs.get(run.run_id)
    assert dict(found.tags) == {"a": "2", "c": "2"}
    assert list(found.inputs) == [digits]


def test_metrics_show_the_value_of_the_last_step_with_nan_and_infinities(
    client: runwire.Client,
) -> None:
    run = client.runs.create()
    client.metrics.log(run.run_id, {"late": 3.0}, step=9)
    last = {"loss": 0.1, "nan": math.nan, "inf": math.inf, "minus": -math.inf, "late": 1.0}
    client.metrics.log(run.run_id, last, step=5)
    metrics = dict(client.runs.get(run.run_id).metrics)
    assert math.isnan(metrics.pop("nan"))
    assert metrics == {"loss": 0.1, "inf": math.inf, "minus": -math.inf, "late": 3.0}


def test_what_was_acknowledged_is_in_the_next_answer(client: runwire.Client) -> None:
    run = client.runs.create()
    for step in range(5):
        client.metrics.log(run.run_id, {"loss": float(step)}, step=step)
        assert client.runs.get(run.run_id).metrics["loss"] == step
        (found,) = client.runs.search(filter=f"metrics.loss = {step}", view="FULL")
        assert found.metrics["loss"] == step


def test_a_basic_view_leaves_out_what_the_run_carries(client: runwire.Client) -> None:
    run = client.runs.create(name="n", params={"a": "1"}, tags={"b": "2"})
    client.metrics.log(run.run_id, {"loss": 1.0})
    for found in (client.runs.get(run.run_id, view="BASIC"), *client.runs.search()):
        assert found.name == "n"
        assert [*found.params, *found.tags, *found.metrics, *found.inputs] == []
    (found,) = client.runs.search(view="FULL")
    assert found == client.runs.get(run.run_id)


# Update -----------------------------------------------------------------------------------


def test_an_update_changes_what_it_names_and_nothing_else(client: runwire.Client) -> None:
    run = client.runs.create(name="a", description="d", params={"p": "1"}, tags={"keep": "1"})
    changed = client.runs.update(run.run_id, name="b", tags={"new": "2", "with.dots": "3"})
    assert (changed.name, changed.description) == ("b", "d")
    assert dict(changed.params) == {"p": "1"}
    assert dict(changed.tags) == {"keep": "1", "new": "2", "with.dots": "3"}
    assert changed.revision > run.revision
    assert client.runs.get(run.run_id) == changed


def test_a_tag_can_be_removed(client: runwire.Client) -> None:
    run = client.runs.create(tags={"a": "1", "b": "1"})
    changed = client.runs.update(run.run_id, tags={"c": "2"}, removed_tags=["a", "never there"])
    assert dict(changed.tags) == {"b": "1", "c": "2"}


def test_a_mask_of_tags_replaces_them_all(client: runwire.Client) -> None:
    run = client.runs.create(name="n", tags={"a": "1", "b": "1"})
    changed = client.runs.update(run.run_id, name="unseen", tags={"b": "2"}, update_mask=["tags"])
    assert (changed.name, dict(changed.tags)) == ("n", {"b": "2"})


def test_a_mask_of_everything_replaces_everything(client: runwire.Client) -> None:
    run = client.runs.create(name="n", description="d", tags={"a": "1"}, params={"p": "1"})
    changed = client.runs.update(run.run_id, experiment_id="0", name="m", update_mask=["*"])
    assert (changed.name, changed.description, dict(changed.tags)) == ("m", "", {})
    assert dict(changed.params) == {"p": "1"}


@pytest.mark.parametrize("path", ["nonsense", "state", "params.p", "metrics", "tags.", "tags.a\0"])
def test_a_mask_of_what_cannot_be_changed_is_refused(client: runwire.Client, path: str) -> None:
    run = client.runs.create()
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.runs.update(run.run_id, name="n", update_mask=["name", path])
    assert error.value.metadata["field"] == "update_mask"
    assert client.runs.get(run.run_id) == run


@pytest.mark.parametrize(("key", "value", "reason"), BAD_ENTRIES.values(), ids=BAD_ENTRIES)
def test_a_tag_that_cannot_be_kept_is_refused_with_its_update(
    client: runwire.Client, key: str, value: str, reason: str
) -> None:
    run = client.runs.create()
    with pytest.raises(runwire.RunwireError) as error:
        client.runs.update(run.run_id, name="n", tags={key: value})
    assert error.value.reason == reason
    assert client.runs.get(run.run_id) == run


def test_an_update_of_what_changed_meanwhile_is_a_conflict(client: runwire.Client) -> None:
    run = client.runs.create()
    client.runs.update(run.run_id, name="theirs", etag=run.etag)
    with pytest.raises(runwire.ConflictError) as error:
        client.runs.update(run.run_id, name="ours", etag=run.etag)
    assert error.value.reason == "ETAG_MISMATCH"
    assert client.runs.get(run.run_id).name == "theirs"


def test_an_update_can_be_repeated_with_its_etag(client: runwire.Client) -> None:
    run = client.runs.create()
    first = client.runs.update(run.run_id, name="n", etag=run.etag)
    assert client.runs.update(run.run_id, name="n", etag=run.etag) == first


def test_a_finished_run_can_still_be_annotated(client: runwire.Client) -> None:
    run = client.runs.create()
    client.runs.finish(run.run_id)
    assert client.runs.update(run.run_id, description="d", tags={"a": "1"}).description == "d"


def test_a_run_moves_to_another_experiment_with_its_data(client: runwire.Client) -> None:
    run = client.runs.create(params={"p": "1"})
    client.metrics.log(run.run_id, {"loss": 1.0})
    home = client.experiments.create("elsewhere").experiment_id
    moved = client.runs.update(run.run_id, experiment_id=home)
    assert moved.experiment_id == home
    assert dict(moved.metrics) == {"loss": 1.0}
    client.metrics.log(run.run_id, {"loss": 2.0}, step=1)
    assert _ids(client.runs.search([home], filter="metrics.loss = 2")) == [run.run_id]
    assert list(client.runs.search(["0"])) == []


@pytest.mark.parametrize(
    ("experiment_id", "error"),
    [("777", runwire.NotFoundError), ("x", runwire.InvalidArgumentError)],
)
def test_a_run_does_not_move_to_where_nothing_is(
    client: runwire.Client, experiment_id: str, error: type[runwire.RunwireError]
) -> None:
    run = client.runs.create()
    with pytest.raises(error):
        client.runs.update(run.run_id, experiment_id=experiment_id)
    assert client.runs.get(run.run_id) == run


def test_revisions_grow_with_every_change_data_included(client: runwire.Client) -> None:
    run = client.runs.create()
    revisions = [run.revision]
    for change in (
        lambda: client.metrics.log(run.run_id, {"loss": 1.0}),
        lambda: client.runs.update(run.run_id, name="n"),
        lambda: client.runs.stop(run.run_id),
        lambda: client.runs.finish(run.run_id),
        lambda: client.runs.resume(run.run_id),
        lambda: client.runs.delete(run.run_id),
        lambda: client.runs.restore(run.run_id),
    ):
        change()
        revisions.append(client.runs.get(run.run_id).revision)
    assert revisions == sorted(set(revisions))


# Trash ------------------------------------------------------------------------------------


def test_a_deleted_run_is_got_by_id_and_found_only_on_demand(client: runwire.Client) -> None:
    run, other = client.runs.create(), client.runs.create()
    deleted = client.runs.delete(run.run_id)
    assert deleted.HasField("delete_time")
    assert client.runs.get(run.run_id) == deleted
    assert _ids(client.runs.search()) == [other.run_id]
    assert set(_ids(client.runs.search(show_deleted=True))) == {run.run_id, other.run_id}


def test_deleting_and_restoring_can_be_repeated(client: runwire.Client) -> None:
    run = client.runs.create(params={"p": "1"})
    deleted = client.runs.delete(run.run_id, etag=run.etag)
    assert client.runs.delete(run.run_id, etag=run.etag) == deleted
    restored = client.runs.restore(run.run_id)
    assert client.runs.restore(run.run_id) == restored
    assert not restored.HasField("delete_time")
    assert dict(restored.params) == {"p": "1"}


def test_deleting_what_changed_meanwhile_is_a_conflict(client: runwire.Client) -> None:
    run = client.runs.create()
    client.runs.update(run.run_id, name="n")
    with pytest.raises(runwire.ConflictError):
        client.runs.delete(run.run_id, etag=run.etag)
    assert not client.runs.get(run.run_id).HasField("delete_time")


def test_a_deleted_run_cannot_be_written_to(client: runwire.Client) -> None:
    run = client.runs.create()
    client.runs.delete(run.run_id)
    for write in (
        lambda: client.runs.update(run.run_id, name="n"),
        lambda: client.runs.finish(run.run_id),
        lambda: client.runs.resume(run.run_id),
        lambda: client.runs.stop(run.run_id),
        lambda: client.metrics.log(run.run_id, {"loss": 1.0}),
    ):
        with pytest.raises(runwire.NotFoundError) as error:
            write()
        assert error.value.reason == "DELETED"


def test_creating_a_deleted_run_again_shows_that_it_is_deleted(client: runwire.Client) -> None:
    run = client.runs.create(run_id=_id())
    client.runs.delete(run.run_id)
    assert client.runs.create(run_id=run.run_id).HasField("delete_time")
