"""What is promised of experiments."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import runwire

ODD_NAMES = [
    "plain",
    "with spaces and /slashes/",
    "Größe",
    "実験 №1",
    "🧪🔬",
    "'; DROP TABLE experiments; --",
    "%_\\",
    "  edges  ",
    "x" * 512,
]
BAD_NAMES = {"empty": "", "newline": "a\nb", "nul": "a\0b", "escape": "a\x1b[31m"}


def _reason(error: pytest.ExceptionInfo[runwire.RunwireError]) -> str:
    return error.value.reason


def _together(count: int, call: Callable[[], str]) -> list[str]:
    """What ``call`` returns to so many threads that start at one moment."""
    barrier = threading.Barrier(count)

    def run(_: int) -> str:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


# Default ----------------------------------------------------------------------------------


def test_the_default_experiment_is_there_from_the_start(client: runwire.Client) -> None:
    default = client.experiments.get("0")
    assert (default.name, default.workspace) == ("Default", "default")
    assert client.experiments.get(name="Default") == default


def test_the_default_experiment_cannot_be_deleted(client: runwire.Client) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.experiments.delete("0")
    assert _reason(error) == "FIELD_INVALID"
    assert not client.experiments.get("0").HasField("delete_time")


# Create and get ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD_NAMES, ids=range(len(ODD_NAMES)))
def test_a_name_comes_back_as_it_was_given(client: runwire.Client, name: str) -> None:
    made = client.experiments.create(name)
    assert made.name == name
    assert client.experiments.get(name=name) == client.experiments.get(made.experiment_id) == made


def test_what_was_created_is_kept(client: runwire.Client) -> None:
    tags = {"team": "nlp", "empty": "", "größe": "🧪\n" * 100}
    made = client.experiments.create("e", description="Why.\nHow.", tags=tags)
    found = client.experiments.get(made.experiment_id)
    assert found == made
    assert (found.description, dict(found.tags)) == ("Why.\nHow.", tags)
    assert found.HasField("create_time")
    assert found.etag


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_a_name_that_nobody_could_read_is_refused(client: runwire.Client, name: str) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.experiments.create(name)
    assert (_reason(error), error.value.metadata["field"]) == ("FIELD_INVALID", "name")


def test_a_name_of_10000_bytes_is_too_large(client: runwire.Client) -> None:
    with pytest.raises(runwire.ResourceExhaustedError) as error:
        client.experiments.create("ü" * 5000)
    assert _reason(error) == "TOO_LARGE"
    assert error.value.metadata == {"field": "name", "size": "10000", "limit": "512"}


def test_a_value_of_64_kib_is_kept_and_one_byte_more_is_too_large(client: runwire.Client) -> None:
    longest = "x" * 64 * 1024
    made = client.experiments.create("e", tags={"long": longest}, description=longest)
    assert client.experiments.get(made.experiment_id).tags["long"] == longest
    with pytest.raises(runwire.ResourceExhaustedError) as error:
        client.experiments.create("f", tags={"long": longest + "x"})
    assert _reason(error) == "TOO_LARGE"


@pytest.mark.parametrize("tags", [{"": "v"}, {"a\0b": "v"}, {"k": "a\0b"}], ids=str)
def test_a_tag_that_cannot_be_kept_is_refused_with_the_experiment(
    client: runwire.Client, tags: dict[str, str]
) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.experiments.create("e", tags=tags)
    assert _reason(error) == "FIELD_INVALID"
    with pytest.raises(runwire.NotFoundError):
        client.experiments.get(name="e")


def test_a_name_in_use_is_refused(client: runwire.Client) -> None:
    client.experiments.create("e")
    with pytest.raises(runwire.AlreadyExistsError) as error:
        client.experiments.create("e")
    assert _reason(error) == "ALREADY_EXISTS"


def test_get_existing_finds_what_is_there_and_changes_nothing(client: runwire.Client) -> None:
    made = client.experiments.create("e", description="first", tags={"a": "1"})
    assert client.experiments.create("e", description="second", get_existing=True) == made


def test_of_many_who_create_one_name_one_wins_and_the_others_are_told(
    client: runwire.Client,
) -> None:
    def call() -> str:
        try:
            return client.experiments.create("popular").experiment_id
        except runwire.AlreadyExistsError as error:
            return error.reason

    answers = _together(8, call)
    winner = client.experiments.get(name="popular").experiment_id
    assert sorted(answers) == sorted([winner] + ["ALREADY_EXISTS"] * 7)


def test_many_who_want_one_experiment_all_get_the_same(client: runwire.Client) -> None:
    def call() -> str:
        return client.experiments.create("popular", get_existing=True).experiment_id

    assert len(set(_together(8, call))) == 1


def test_a_repeated_request_id_returns_what_it_made(client: runwire.Client) -> None:
    made = client.experiments.create("e", tags={"a": "1", "b": "2"}, request_id="r-1")
    again = client.experiments.create("e", tags={"b": "2", "a": "1"}, request_id="r-1")
    assert again == made


def test_a_repeated_request_id_returns_the_present_state(client: runwire.Client) -> None:
    made = client.experiments.create("e", request_id="r-1")
    client.experiments.update(made.experiment_id, name="renamed")
    assert client.experiments.create("e", request_id="r-1").name == "renamed"


def test_a_request_id_with_other_content_is_refused(client: runwire.Client) -> None:
    client.experiments.create("e", request_id="r-1")
    with pytest.raises(runwire.AlreadyExistsError) as error:
        client.experiments.create("f", request_id="r-1")
    assert (_reason(error), error.value.metadata["request_id"]) == ("REQUEST_ID_REUSED", "r-1")


@pytest.mark.parametrize("experiment_id", ["999999", "9" * 18])
def test_an_unknown_id_is_not_found(client: runwire.Client, experiment_id: str) -> None:
    for call in (client.experiments.get, client.experiments.delete, client.experiments.restore):
        with pytest.raises(runwire.NotFoundError) as error:
            call(experiment_id)
        assert error.value.metadata == {"kind": "experiment", "key": experiment_id}


@pytest.mark.parametrize("experiment_id", ["", "x", "-1", "01", "1.0", "١", "9" * 40, "0\0"])
def test_what_is_no_decimal_id_is_refused(client: runwire.Client, experiment_id: str) -> None:
    for call in (client.experiments.get, client.experiments.delete, client.experiments.restore):
        with pytest.raises(runwire.InvalidArgumentError) as error:
            call(experiment_id)
        assert error.value.metadata["field"] == "experiment_id"


@pytest.mark.parametrize("name", ["nobody", "default", "DEFAULT"])
def test_an_unknown_name_is_not_found_and_case_counts(client: runwire.Client, name: str) -> None:
    with pytest.raises(runwire.NotFoundError) as error:
        client.experiments.get(name=name)
    assert _reason(error) == "NOT_FOUND"


def test_workspaces_have_names_of_their_own(client: runwire.Client) -> None:
    ours = client.experiments.create("e")
    theirs = client.experiments.create("e", workspace="team-b")
    assert theirs.workspace == "team-b"
    assert ours.experiment_id != theirs.experiment_id
    assert client.experiments.get(name="e", workspace="team-b") == theirs
    assert client.experiments.get(name="e", workspace="default") == ours
    assert [one.name for one in client.experiments.search(workspace="team-b")] == ["e"]


@pytest.mark.parametrize("workspace", ["a\0b", "a\nb"])
def test_a_workspace_that_nobody_could_read_is_refused(
    client: runwire.Client, workspace: str
) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.experiments.create("e", workspace=workspace)
    assert error.value.metadata["field"] == "workspace"


# Update -----------------------------------------------------------------------------------


def test_an_update_changes_what_it_names_and_nothing_else(client: runwire.Client) -> None:
    made = client.experiments.create("e", description="d", tags={"keep": "1", "change": "1"})
    changed = client.experiments.update(
        made.experiment_id, name="f", tags={"change": "2", "new": "2", "dots.and spaces": "2"}
    )
    assert (changed.name, changed.description) == ("f", "d")
    assert dict(changed.tags) == {"keep": "1", "change": "2", "new": "2", "dots.and spaces": "2"}
    assert changed.create_time == made.create_time
    assert changed.etag != made.etag
    assert client.experiments.get(made.experiment_id) == changed


def test_a_tag_can_be_removed(client: runwire.Client) -> None:
    made = client.experiments.create("e", tags={"a": "1", "b": "1"})
    changed = client.experiments.update(
        made.experiment_id, tags={"c": "2"}, removed_tags=["a", "never there"]
    )
    assert dict(changed.tags) == {"b": "1", "c": "2"}


def test_a_field_can_be_emptied(client: runwire.Client) -> None:
    made = client.experiments.create("e", description="d")
    assert client.experiments.update(made.experiment_id, description="").description == ""


def test_a_mask_of_tags_replaces_them_all(client: runwire.Client) -> None:
    made = client.experiments.create("e", description="d", tags={"a": "1", "b": "1"})
    changed = client.experiments.update(
        made.experiment_id, description="unseen", tags={"b": "2"}, update_mask=["tags"]
    )
    assert (changed.description, dict(changed.tags)) == ("d", {"b": "2"})


def test_a_mask_of_everything_replaces_everything(client: runwire.Client) -> None:
    made = client.experiments.create("e", description="d", tags={"a": "1"})
    changed = client.experiments.update(made.experiment_id, name="f", update_mask=["*"])
    assert (changed.name, changed.description, dict(changed.tags)) == ("f", "", {})


@pytest.mark.parametrize("path", ["nonsense", "experiment_id", "create_time", "tags.", "tags.a\0"])
def test_a_mask_of_what_cannot_be_changed_is_refused(client: runwire.Client, path: str) -> None:
    made = client.experiments.create("e")
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.experiments.update(made.experiment_id, name="f", update_mask=["name", path])
    assert error.value.metadata["field"] == "update_mask"
    assert client.experiments.get(made.experiment_id) == made


def test_an_update_that_names_nothing_is_refused(client: runwire.Client) -> None:
    made = client.experiments.create("e")
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.experiments.update(made.experiment_id)
    assert error.value.metadata["field"] == "update_mask"


def test_an_update_of_what_changed_meanwhile_is_a_conflict(client: runwire.Client) -> None:
    made = client.experiments.create("e")
    client.experiments.update(made.experiment_id, description="theirs", etag=made.etag)
    with pytest.raises(runwire.ConflictError) as error:
        client.experiments.update(made.experiment_id, description="ours", etag=made.etag)
    assert _reason(error) == "ETAG_MISMATCH"
    assert client.experiments.get(made.experiment_id).description == "theirs"


def test_an_update_can_be_repeated_with_its_etag(client: runwire.Client) -> None:
    made = client.experiments.create("e")
    first = client.experiments.update(made.experiment_id, description="d", etag=made.etag)
    assert client.experiments.update(made.experiment_id, description="d", etag=made.etag) == first


def test_a_rename_to_a_name_in_use_is_refused(client: runwire.Client) -> None:
    client.experiments.create("taken")
    made = client.experiments.create("e")
    with pytest.raises(runwire.AlreadyExistsError):
        client.experiments.update(made.experiment_id, name="taken")
    assert client.experiments.get(made.experiment_id).name == "e"


def test_a_rename_frees_the_old_name(client: runwire.Client) -> None:
    made = client.experiments.create("old")
    client.experiments.update(made.experiment_id, name="new")
    assert client.experiments.create("old").experiment_id != made.experiment_id


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_a_rename_to_a_bad_name_is_refused(client: runwire.Client, name: str) -> None:
    made = client.experiments.create("e")
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.experiments.update(made.experiment_id, name=name)
    assert error.value.metadata["field"] == "experiment.name"


def test_tags_set_at_the_same_time_are_all_kept(client: runwire.Client) -> None:
    made = client.experiments.create("e")
    numbers = iter(range(8))

    def call() -> str:
        key = f"k{next(numbers)}"
        client.experiments.update(made.experiment_id, tags={key: "v"})
        return key

    assert set(_together(8, call)) == set(client.experiments.get(made.experiment_id).tags)


# Trash ------------------------------------------------------------------------------------


def test_a_deleted_experiment_is_found_by_id_and_not_by_name(client: runwire.Client) -> None:
    made = client.experiments.create("e")
    deleted = client.experiments.delete(made.experiment_id)
    assert deleted.HasField("delete_time")
    assert client.experiments.get(made.experiment_id) == deleted
    with pytest.raises(runwire.NotFoundError):
        client.experiments.get(name="e")


def test_deleting_and_restoring_can_be_repeated(client: runwire.Client) -> None:
    made = client.experiments.create("e")
    deleted = client.experiments.delete(made.experiment_id, etag=made.etag)
    assert client.experiments.delete(made.experiment_id, etag=made.etag) == deleted
    restored = client.experiments.restore(made.experiment_id)
    assert not restored.HasField("delete_time")
    assert client.experiments.restore(made.experiment_id) == restored
    assert client.experiments.get(name="e") == restored


def test_deleting_what_changed_meanwhile_is_a_conflict(client: runwire.Client) -> None:
    made = client.experiments.create("e")
    client.experiments.update(made.experiment_id, description="d")
    with pytest.raises(runwire.ConflictError):
        client.experiments.delete(made.experiment_id, etag=made.etag)
    assert not client.experiments.get(made.experiment_id).HasField("delete_time")


def test_a_deleted_name_can_be_used_again(client: runwire.Client) -> None:
    first = client.experiments.create("e")
    client.experiments.delete(first.experiment_id)
    second = client.experiments.create("e", get_existing=True)
    assert second.experiment_id != first.experiment_id
    with pytest.raises(runwire.AlreadyExistsError):
        client.experiments.restore(first.experiment_id)
    client.experiments.delete(second.experiment_id)
    assert client.experiments.restore(first.experiment_id).name == "e"


def test_a_deleted_experiment_cannot_be_changed(client: runwire.Client) -> None:
    made = client.experiments.create("e")
    client.experiments.delete(made.experiment_id)
    with pytest.raises(runwire.NotFoundError) as error:
        client.experiments.update(made.experiment_id, description="d")
    assert _reason(error) == "DELETED"


def test_a_deleted_experiment_takes_no_runs(client: runwire.Client) -> None:
    made = client.experiments.create("e")
    client.experiments.delete(made.experiment_id)
    with pytest.raises(runwire.NotFoundError) as error:
        client.runs.create(experiment_id=made.experiment_id)
    assert _reason(error) == "DELETED"


def test_runs_of_a_deleted_experiment_are_hidden_and_sealed_until_it_is_restored(
    client: runwire.Client,
) -> None:
    run = client.runs.create(experiment_name="e")
    client.experiments.delete(run.experiment_id)
    assert list(client.runs.search()) == []
    assert list(client.runs.search([run.experiment_id])) == []
    found = client.runs.search([run.experiment_id], show_deleted=True)
    assert [one.run_id for one in found] == [run.run_id]
    assert client.runs.get(run.run_id).run_id == run.run_id
    writes: list[Callable[[], object]] = [
        lambda: client.runs.update(run.run_id, name="n"),
        lambda: client.runs.finish(run.run_id),
        lambda: client.runs.resume(run.run_id),
        lambda: client.runs.stop(run.run_id),
        lambda: client.metrics.log(run.run_id, {"loss": 1.0}),
    ]
    for write in writes:
        with pytest.raises(runwire.NotFoundError) as error:
            write()
        assert _reason(error) == "DELETED"
    client.experiments.restore(run.experiment_id)
    assert [one.run_id for one in client.runs.search()] == [run.run_id]
    assert client.runs.finish(run.run_id).run_id == run.run_id


# Search -----------------------------------------------------------------------------------


def test_a_search_finds_live_experiments_and_on_demand_deleted_ones(
    client: runwire.Client,
) -> None:
    client.experiments.create("live")
    gone = client.experiments.create("gone")
    client.experiments.delete(gone.experiment_id)
    assert {one.name for one in client.experiments.search()} == {"Default", "live"}
    everything = client.experiments.search(show_deleted=True)
    assert {one.name for one in everything} == {"Default", "live", "gone"}


def test_a_search_filters_and_orders(client: runwire.Client) -> None:
    for i in range(5):
        client.experiments.create(f"e{i}", tags={"parity": "odd" if i % 2 else "even"})
    found = client.experiments.search(filter="tags.parity = 'even'", order_by="name DESC")
    assert [one.name for one in found] == ["e4", "e2", "e0"]
    assert [dict(one.tags) for one in found] == [{"parity": "even"}] * 3


def test_pages_hold_every_experiment_once_though_others_come_and_go(
    client: runwire.Client,
) -> None:
    for i in range(10):
        client.experiments.create(f"e{i}")
    pages = client.experiments.search(order_by="name", filter="name LIKE 'e%'", page_size=3).pages()
    first = next(pages)
    client.experiments.create("e00 comes before the next page")
    client.experiments.delete(first.experiments[0].experiment_id)
    names = [one.name for page in (first, *pages) for one in page.experiments]
    assert names == [f"e{i}" for i in range(10)]


def test_a_page_token_of_another_search_is_refused(client: runwire.Client) -> None:
    client.experiments.create("e")
    token = next(client.experiments.search(page_size=1).pages()).next_page_token
    others: list[dict[str, Any]] = [
        {"show_deleted": True},
        {"filter": "name = 'e'"},
        {"workspace": "team-b"},
    ]
    for other in others:
        with pytest.raises(runwire.InvalidArgumentError) as error:
            list(client.experiments.search(**other, page_token=token))
        assert _reason(error) == "PAGE_TOKEN_MISMATCH"


def test_a_negative_page_size_is_refused(client: runwire.Client) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as error:
        list(client.experiments.search(page_size=-1))
    assert error.value.metadata["field"] == "page_size"


def test_a_filter_with_a_fault_says_where_it_is(client: runwire.Client) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as error:
        list(client.experiments.search(filter="name = 'e' AND AND"))
    assert _reason(error) == "FILTER_SYNTAX"
    assert error.value.metadata["position"] == "15"
