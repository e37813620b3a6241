"""What the registry promises about deleting, restoring and renaming."""

from __future__ import annotations

import uuid

import pytest
import runwire

from contract.registry import kinds, last_event, publish


@pytest.fixture(autouse=True)
def fraud(client: runwire.Client) -> None:
    """A model "fraud" with three versions; champion is the second."""
    publish(client)
    client.models.set_alias("fraud", "champion", 2)


# Models -----------------------------------------------------------------------


def test_restored_model_is_as_it_was(client: runwire.Client) -> None:
    client.models.update("fraud", tags={"team": "risk"})
    client.models.transition_version("fraud", 1, "archived")
    client.models.delete_version("fraud", 3)
    before = client.models.get("fraud")
    client.models.delete("fraud", comment="tidying up")
    restored = client.models.restore("fraud", comment="it is needed")
    assert (restored.latest_version, dict(restored.aliases)) == (2, {"champion": 2})
    assert (dict(restored.tags), restored.stages) == ({"team": "risk"}, before.stages)
    assert restored == client.models.get("fraud")
    assert client.models.resolve("fraud@champion").version == 2
    assert [one.version for one in client.models.search_versions()] == [2, 1]
    assert client.models.get_version("fraud", 1).stage == "archived"
    events = list(client.models.list_events("fraud", page_size=4))[:4]
    assert kinds(events) == ["ALIAS_MOVED", "MODEL_RESTORED", "MODEL_DELETED", "ALIAS_REMOVED"]
    assert [one.comment for one in events] == ["it is needed"] * 2 + ["tidying up"] * 2


def test_numbers_go_on_after_a_restore(client: runwire.Client) -> None:
    client.models.delete_version("fraud", 3)
    client.models.delete("fraud")
    client.models.restore("fraud")
    assert client.models.create_version("fraud", source_uri="s3://x").version == 4


def test_alias_of_a_restored_model_is_rolled_back_to_before_the_deletion(
    client: runwire.Client,
) -> None:
    client.models.set_alias("fraud", "champion", 3)
    client.models.delete("fraud")
    client.models.restore("fraud")
    assert client.models.rollback_alias("fraud", "champion").version == 2


def test_name_that_was_taken_meanwhile_needs_another(client: runwire.Client) -> None:
    client.models.delete("fraud")
    publish(client, versions=1)
    with pytest.raises(runwire.AlreadyExistsError):
        client.models.restore("fraud")
    restored = client.models.restore("fraud", new_name="fraud-2025")
    assert (restored.name, restored.latest_version) == ("fraud-2025", 3)
    assert client.models.get("fraud").latest_version == 1
    event = list(client.models.list_events("fraud-2025"))[1]
    assert (event.model, event.previous_model) == ("fraud-2025", "fraud")


def test_last_deleted_of_a_name_comes_back_unless_a_time_says_which(
    client: runwire.Client,
) -> None:
    client.models.delete("fraud")
    publish(client, versions=1)
    client.models.delete("fraud")
    newest, oldest = client.models.search(
        "name = 'fraud'", order_by="delete_time DESC", show_deleted=True
    )
    assert (newest.latest_version, oldest.latest_version) == (1, 3)
    restored = client.models.restore("fraud", delete_time=oldest.delete_time, new_name="old")
    assert restored.latest_version == 3
    assert client.models.restore("fraud").latest_version == 1


def test_what_is_not_in_the_trash_cannot_be_restored(client: runwire.Client) -> None:
    for name in ("fraud", "nobody"):
        with pytest.raises(runwire.NotFoundError):
            client.models.restore(name)


def test_repeated_restore_is_answered_and_not_done_again(client: runwire.Client) -> None:
    client.models.delete("fraud")
    request_id = uuid.uuid4().hex
    restored = client.models.restore("fraud", request_id=request_id)
    assert client.models.restore("fraud", request_id=request_id) == restored


def test_deleted_models_are_found_where_that_is_asked(client: runwire.Client) -> None:
    client.models.create("churn")
    client.models.delete("fraud")
    assert [one.name for one in client.models.search()] == ["churn"]
    churn, fraud = client.models.search(show_deleted=True)
    assert (fraud.name, fraud.HasField("delete_time"), churn.HasField("delete_time")) == (
        "fraud",
        True,
        False,
    )
    assert dict(fraud.aliases) == {}
    deleted = client.models.search("delete_time > '2020-01-01'", show_deleted=True)
    assert [one.name for one in deleted] == ["fraud"]


# Versions ---------------------------------------------------------------------


def test_restored_version_is_as_it_was_without_its_aliases(client: runwire.Client) -> None:
    client.models.update_version("fraud", 2, tags={"checked": "yes"})
    client.models.delete_version("fraud", 2, comment="broken")
    assert (kinds([last_event(client)]), last_event(client).comment) == (
        ["VERSION_DELETED"],
        "broken",
    )
    restored = client.models.restore_version("fraud", 2, comment="it was not")
    assert (dict(restored.tags), list(restored.aliases)) == ({"checked": "yes"}, [])
    assert restored == client.models.get_version("fraud", 2)
    assert (kinds([last_event(client)]), last_event(client).comment) == (
        ["VERSION_RESTORED"],
        "it was not",
    )
    assert client.models.rollback_alias("fraud", "champion").version == 2


def test_repeated_restore_of_a_version_changes_nothing(client: runwire.Client) -> None:
    client.models.delete_version("fraud", 2)
    restored = client.models.restore_version("fraud", 2)
    assert client.models.restore_version("fraud", 2) == restored


def test_deleted_version_says_that_it_can_be_restored(client: runwire.Client) -> None:
    client.models.delete_version("fraud", 2)
    for call in (
        lambda: client.models.get_version("fraud", 2),
        lambda: client.models.set_alias("fraud", "champion", 2),
        lambda: client.models.transition_version("fraud", 2, "production"),
        lambda: client.models.update_version("fraud", 2, description="x"),
        lambda: client.models.delete_version("fraud", 2),
        lambda: client.models.create_version("copy", source_version=("fraud", 2)),
    ):
        with pytest.raises(runwire.NotFoundError):
            call()
    with pytest.raises(runwire.NotFoundError) as caught:
        client.models.get_version("fraud", 2)
    assert caught.value.reason == "DELETED"


def test_version_of_a_deleted_model_cannot_be_restored(client: runwire.Client) -> None:
    client.models.delete_version("fraud", 2)
    client.models.delete("fraud")
    with pytest.raises(runwire.NotFoundError):
        client.models.restore_version("fraud", 2)
    with pytest.raises(runwire.NotFoundError):
        client.models.restore_version("fraud", 9)


def test_version_whose_stage_is_no_more_comes_back_in_the_first(client: runwire.Client) -> None:
    client.models.transition_version("fraud", 3, "staging")
    client.models.delete_version("fraud", 3)
    client.models.update("fraud", stages=["none", "live"])
    assert client.models.restore_version("fraud", 3).stage == "none"
    event = last_event(client)
    assert (kinds([event]), event.previous_stage, event.stage) == (
        ["STAGE_CHANGED"],
        "staging",
        "none",
    )


def test_deleted_version_does_not_count_as_the_latest(client: runwire.Client) -> None:
    assert [one.name for one in client.models.search("latest_version = 3")] == ["fraud"]
    client.models.delete_version("fraud", 3)
    assert client.models.get("fraud").latest_version == 2
    assert list(client.models.search("latest_version = 3")) == []
    client.models.delete_version("fraud", 1)
    assert [one.name for one in client.models.search("latest_version = 2")] == ["fraud"]
    client.models.delete_version("fraud", 2)
    assert [one.name for one in client.models.search("latest_version = 0")] == ["fraud"]
    client.models.restore_version("fraud", 1)
    assert client.models.get("fraud").latest_version == 1
    assert client.models.create_version("fraud", source_uri="s3://x").version == 4


def test_deleted_versions_are_found_where_that_is_asked(client: runwire.Client) -> None:
    client.models.delete_version("fraud", 2)
    listed = list(client.models.search_versions("model = 'fraud'", show_deleted=True))
    assert [(one.version, one.HasField("delete_time")) for one in listed] == [
        (3, False),
        (2, True),
        (1, False),
    ]
    only = client.models.search_versions("delete_time > '2020-01-01'", show_deleted=True)
    assert [one.version for one in only] == [2]


# Names ------------------------------------------------------------------------


def test_renamed_model_keeps_everything_and_its_history_tells(client: runwire.Client) -> None:
    before = client.models.get("fraud")
    client.models.update("fraud", new_name="cards", comment="more than fraud")
    renamed = client.models.get("cards")
    assert (renamed.aliases, renamed.latest_version) == (before.aliases, before.latest_version)
    assert [one.model for one in client.models.search_versions()] == ["cards"] * 3
    event, *earlier = client.models.list_events("cards")
    assert (kinds([event]), event.model, event.previous_model, event.comment) == (
        ["MODEL_RENAMED"],
        "cards",
        "fraud",
        "more than fraud",
    )
    assert {one.model for one in earlier} == {"fraud"}


def test_name_of_a_renamed_model_can_be_used_again_by_itself_and_others(
    client: runwire.Client,
) -> None:
    client.models.update("fraud", new_name="cards")
    client.models.create("fraud")
    with pytest.raises(runwire.AlreadyExistsError):
        client.models.update("cards", new_name="fraud")
    client.models.delete("fraud")
    assert client.models.update("cards", new_name="fraud").aliases == {"champion": 2}


# Search -----------------------------------------------------------------------


def test_models_are_found_by_the_stage_and_run_of_a_version_and_by_their_creator(
    client: runwire.Client,
) -> None:
    run = client.runs.create(experiment_name="training")
    client.artifacts.put(run.run_id, b"weights", "model/weights.bin")
    client.models.create_version("churn", source_run_id=run.run_id, create_model=True)
    client.models.transition_version("churn", 1, "production")
    creator = client.models.get("churn").creator

    def found(filter: str) -> list[str]:
        return [one.name for one in client.models.search(filter)]

    assert found("stage = 'production'") == ["churn"]
    assert found(f"source_run_id = '{run.run_id}'") == ["churn"]
    assert found("stage = 'none' AND alias = 'champion'") == ["fraud"]
    assert found(f"creator = '{creator}'") == ["churn", "fraud"]
    client.models.delete_version("churn", 1)
    assert found("stage = 'production'") == []


# Copies -----------------------------------------------------------------------


def test_version_is_copied_from_another_with_its_content(client: runwire.Client) -> None:
    run = client.runs.create(experiment_name="training")
    client.artifacts.put(run.run_id, b"weights", "model/weights.bin")
    source = client.models.create_version("fraud", source_run_id=run.run_id)
    copy = client.models.create_version(
        "fraud-prod", source_version=("fraud", 4), create_model=True, aliases=["champion"]
    )
    assert (copy.version, copy.tree_digest) == (1, source.tree_digest)
    assert (copy.source_version.model, copy.source_version.version) == ("fraud", 4)
    (kept,) = client.artifacts.list(model="fraud-prod", version=1, recursive=True)
    assert kept.path == "model/weights.bin"
    client.models.update("fraud", new_name="cards")
    assert client.models.get_version("fraud-prod", 1).source_version.model == "cards"


def test_copy_of_a_noted_uri_notes_it_too(client: runwire.Client) -> None:
    copy = client.models.create_version("fraud", source_version=("fraud", 1))
    assert (copy.version, copy.source_uri, copy.tree_digest) == (4, "s3://kept/0", "")
    assert copy.source_version.version == 1


def test_copy_of_nothing_or_of_two_things_is_refused(client: runwire.Client) -> None:
    with pytest.raises(runwire.NotFoundError):
        client.models.create_version("fraud", source_version=("fraud", 9))
    with pytest.raises(runwire.InvalidArgumentError):
        client.models.create_version("fraud", source_version=("fraud", 1), source_uri="s3://x")
