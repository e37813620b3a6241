"""What the registry promises about its past: events, time travel, taking back."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import runwire

from contract.registry import kinds, last_event, publish

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def fraud(client: runwire.Client) -> None:
    """A model "fraud" with three versions."""
    publish(client)


# Events -----------------------------------------------------------------------


def test_events_say_who_and_why(client: runwire.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWIRE_USER", "Zoë 50 %")
    with runwire.Client(client.tracking_uri) as zoe:
        zoe.models.set_alias("fraud", "champion", 2, comment="beats it by 3 %")
        moved = last_event(client)
        zoe.models.transition_version("fraud", 2, "staging", comment="on trial")
        staged = last_event(client)
        made = zoe.models.create_version("fraud", source_uri="s3://x", comment="retrained")
        published = last_event(client)
    assert (moved.actor, moved.comment) == ("Zoë 50 %", "beats it by 3 %")
    assert (staged.actor, staged.comment) == ("Zoë 50 %", "on trial")
    assert (published.actor, published.comment) == ("Zoë 50 %", "retrained")
    assert (published.version, published.stage) == (4, "none")
    assert made.creator == "Zoë 50 %"
    assert [one.version for one in client.models.search_versions("creator = 'Zoë 50 %'")] == [4]


def test_annotations_are_told_with_what_they_were_before(client: runwire.Client) -> None:
    client.models.update("fraud", description="cards", tags={"team": "risk"}, comment="first")
    client.models.update("fraud", tags={"team": "crime", "due": "May"}, removed_tags=[])
    changed = last_event(client)
    assert kinds([changed]) == ["MODEL_CHANGED"]
    told = [(one.field, one.previous_value, one.value) for one in changed.changes]
    assert told == [("tags.due", "", "May"), ("tags.team", "risk", "crime")]
    assert not changed.changes[0].HasField("previous_value")
    client.models.update("fraud", stages=["none", "live"], removed_tags=["due"])
    (stages, due) = last_event(client).changes
    assert (stages.field, stages.value) == ("stages", "none,live")
    assert (due.previous_value, due.HasField("value")) == ("May", False)


def test_annotations_of_a_version_are_told(client: runwire.Client) -> None:
    client.models.update_version("fraud", 2, description="good", comment="reviewed")
    event = last_event(client)
    assert (kinds([event]), event.version, event.comment) == (["VERSION_CHANGED"], 2, "reviewed")
    assert [(one.field, one.value) for one in event.changes] == [("description", "good")]


def test_update_that_changes_nothing_is_no_event(client: runwire.Client) -> None:
    client.models.update_version("fraud", 2, description="good")
    before = last_event(client)
    client.models.update_version("fraud", 2, description="good", comment="again")
    assert last_event(client) == before


def test_long_values_are_cut_in_events_and_many_changes_are_counted(client: runwire.Client) -> None:
    client.models.update("fraud", description="é" * 20_000)
    (change,) = last_event(client).changes
    assert change.value == "é" * 512
    client.models.update("fraud", tags={f"k{number:03}": "x" * 2000 for number in range(100)})
    event = last_event(client)
    assert event.changes[0].field == "tags.k000"
    assert len(event.changes) + event.more_changes == 100
    assert event.more_changes > 30


def test_events_are_found_by_kind_alias_version_and_time(client: runwire.Client) -> None:
    client.models.set_alias("fraud", "champion", 1)
    first = last_event(client)
    client.models.set_alias("fraud", "challenger", 2)
    client.models.set_alias("fraud", "champion", 2)
    last = last_event(client)

    def found(**only: object) -> list[int]:
        return [one.revision for one in client.models.list_events("fraud", **only)]  # type: ignore[arg-type]

    every = found()
    assert found(kinds=["ALIAS_MOVED"]) == every[:3]
    assert found(kinds=["MODEL_CREATED", "VERSION_CREATED"]) == every[3:]
    assert found(alias="champion") == [last.revision, first.revision]
    assert found(version=1) == [every[0], every[2], every[5]]
    assert found(since=first.time, until=last.time) == every[:3]
    assert found(until=EPOCH) == []
    assert found(kinds=["ALIAS_MOVED"], page_size=1) == every[:3]


def test_events_of_all_models_are_listed_together(client: runwire.Client) -> None:
    publish(client, "churn", 1)
    assert [one.model for one in client.models.list_events(page_size=2)][:3] == [
        "churn",
        "churn",
        "fraud",
    ]


# Time travel ------------------------------------------------------------------


def test_alias_is_resolved_as_it_was_at_a_time(client: runwire.Client) -> None:
    before = last_event(client).time
    client.models.set_alias("fraud", "champion", 1)
    first = last_event(client).time
    client.models.set_alias("fraud", "champion", 3)
    second = last_event(client).time
    client.models.delete_alias("fraud", "champion")
    removed = last_event(client).time
    assert client.models.resolve("fraud@champion", at=first).version == 1
    assert client.models.resolve("fraud@champion", at=second).version == 3
    for at in (before, removed, None):
        with pytest.raises(runwire.NotFoundError):
            client.models.resolve("fraud@champion", at=at)


def test_alias_is_resolved_at_a_time_although_its_version_was_deleted_since(
    client: runwire.Client,
) -> None:
    client.models.set_alias("fraud", "champion", 2)
    then = last_event(client).time
    client.models.delete_version("fraud", 2)
    meant = client.models.resolve("fraud@champion", at=then)
    assert meant.version == 2
    assert meant.HasField("delete_time")
    assert client.models.resolve("fraud/2", at=then) == meant
    with pytest.raises(runwire.NotFoundError):
        client.models.resolve("fraud/2", at=last_event(client).time)


def test_latest_and_stages_are_resolved_as_they_were_at_a_time(client: runwire.Client) -> None:
    at_three = last_event(client).time
    client.models.transition_version("fraud", 1, "production")
    with_one = last_event(client).time
    client.models.transition_version("fraud", 2, "production", archive_others=True)
    with_two = last_event(client).time
    publish(client, versions=1)
    client.models.delete_version("fraud", 4)

    def meant(reference: str, at: Any) -> int:
        return client.models.resolve(reference, at=at).version

    assert meant("fraud/latest", at_three) == 3
    assert meant("fraud/none", at_three) == 3
    assert meant("fraud/production", with_one) == 1
    assert meant("fraud/production", with_two) == 2
    assert meant("fraud/archived", with_two) == 1
    with pytest.raises(runwire.NotFoundError):
        meant("fraud/production", at_three)
    with pytest.raises(runwire.NotFoundError):
        meant("fraud/latest", EPOCH)


def test_restored_version_was_not_there_while_it_was_deleted(client: runwire.Client) -> None:
    client.models.delete_version("fraud", 3)
    gone = last_event(client).time
    client.models.restore_version("fraud", 3)
    back = last_event(client).time
    assert client.models.resolve("fraud/latest", at=gone).version == 2
    assert client.models.resolve("fraud/latest", at=back).version == 3


def test_renamed_model_is_asked_about_its_past_by_its_name_of_today(
    client: runwire.Client,
) -> None:
    client.models.set_alias("fraud", "champion", 1)
    then = last_event(client).time
    client.models.update("fraud", new_name="cards")
    client.models.set_alias("cards", "champion", 2)
    assert client.models.resolve("cards@champion", at=then).version == 1
    with pytest.raises(runwire.NotFoundError):
        client.models.resolve("fraud@champion", at=then)


def test_faults_of_the_past_do_not_spoil_other_answers(client: runwire.Client) -> None:
    answer = client.models.resolve_all(
        ["fraud/1", "fraud@nobody", "fraud/nostage", "nobody/1", "fraud"],
        at=last_event(client).time,
    )
    assert answer.resolved[0].model_version.version == 1
    reasons = [one.fault.reason for one in answer.resolved[1:]]
    assert reasons == ["NOT_FOUND", "FIELD_INVALID", "NOT_FOUND", "FIELD_INVALID"]


# Rollback ---------------------------------------------------------------------


def test_rollback_takes_back_the_last_move_and_says_which(client: runwire.Client) -> None:
    client.models.set_alias("fraud", "champion", 1)
    client.models.set_alias("fraud", "champion", 3, comment="new")
    bad = last_event(client)
    done = client.models.rollback_alias("fraud", "champion", expected_version=3, comment="it fails")
    assert (done.version, done.previous_version, done.undone) == (1, 3, bad)
    assert client.models.resolve("fraud@champion").version == 1
    event = last_event(client)
    assert (event.revision, event.comment) == (done.revision, "it fails")
    assert (event.undone_revision, event.version, event.previous_version) == (bad.revision, 1, 3)


def test_rollback_called_again_goes_further_back(client: runwire.Client) -> None:
    for version in (1, 2, 3):
        client.models.set_alias("fraud", "champion", version)
    went = [client.models.rollback_alias("fraud", "champion").version for _ in range(3)]
    assert went == [2, 1, 0]
    assert "champion" not in client.models.get("fraud").aliases
    with pytest.raises(runwire.NotFoundError):
        client.models.rollback_alias("fraud", "champion")


def test_move_after_a_rollback_is_the_next_to_be_taken_back(client: runwire.Client) -> None:
    client.models.set_alias("fraud", "champion", 1)
    client.models.set_alias("fraud", "champion", 2)
    client.models.rollback_alias("fraud", "champion")
    client.models.set_alias("fraud", "champion", 3)
    assert client.models.rollback_alias("fraud", "champion").version == 1
    assert client.models.rollback_alias("fraud", "champion").version == 0


def test_rollback_brings_a_removed_alias_back(client: runwire.Client) -> None:
    client.models.set_alias("fraud", "champion", 2)
    client.models.delete_alias("fraud", "champion", comment="by mistake")
    done = client.models.rollback_alias("fraud", "champion", expected_version=0)
    assert (done.version, done.previous_version, done.undone.comment) == (2, 0, "by mistake")
    assert dict(client.models.get("fraud").aliases) == {"champion": 2}


def test_rollback_is_refused_where_the_alias_is_not_where_it_was_expected(
    client: runwire.Client,
) -> None:
    client.models.set_alias("fraud", "champion", 1)
    client.models.set_alias("fraud", "champion", 2)
    with pytest.raises(runwire.ConflictError) as caught:
        client.models.rollback_alias("fraud", "champion", expected_version=3)
    assert caught.value.reason == "ALIAS_MOVED"
    assert client.models.resolve("fraud@champion").version == 2


def test_rollback_to_a_deleted_version_is_refused_until_that_is_restored(
    client: runwire.Client,
) -> None:
    client.models.set_alias("fraud", "champion", 1)
    client.models.set_alias("fraud", "champion", 2)
    client.models.delete_version("fraud", 1)
    with pytest.raises(runwire.NotFoundError) as caught:
        client.models.rollback_alias("fraud", "champion")
    assert caught.value.reason == "DELETED"
    client.models.restore_version("fraud", 1)
    assert client.models.rollback_alias("fraud", "champion").version == 1


def test_repeated_rollback_goes_back_once(client: runwire.Client) -> None:
    for version in (1, 2, 3):
        client.models.set_alias("fraud", "champion", version)
    request_id = uuid.uuid4().hex
    done = [
        client.models.rollback_alias("fraud", "champion", request_id=request_id) for _ in range(2)
    ]
    assert done[0] == done[1]
    assert client.models.resolve("fraud@champion").version == 2


def test_rollback_of_what_never_moved_is_not_found(client: runwire.Client) -> None:
    for model, alias in (("fraud", "champion"), ("nobody", "champion")):
        with pytest.raises(runwire.NotFoundError):
            client.models.rollback_alias(model, alias)
