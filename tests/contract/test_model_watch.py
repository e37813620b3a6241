"""What WatchModels and ResolveModels promise together: nothing missed, nothing old."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import runwire
from runwire.v1.model_pb2 import ModelEvent
from runwire.v1.registry_service_pb2 import WatchModelsResponse


def publish(client: runwire.Client, model: str = "fraud", **fields: object) -> int:
    made = client.models.create_version(
        model,
        source_uri="s3://elsewhere/model",
        create_model=True,
        **fields,  # type: ignore[arg-type]
    )
    return made.version


def until_mark(feed: Iterator[WatchModelsResponse]) -> list[WatchModelsResponse]:
    """The events up to the next mark, without it."""
    events: list[WatchModelsResponse] = []
    for event in feed:
        if event.HasField("mark"):
            return events
        events.append(event)
    raise AssertionError("the feed has ended")


def described(event: WatchModelsResponse) -> str:
    kind = event.WhichOneof("event")
    if kind == "model":
        return f"model {event.model.name}"
    if kind == "model_version":
        return f"version {event.model_version.model}/{event.model_version.version}"
    if kind == "change":
        return ModelEvent.Kind.Name(event.change.kind).removeprefix("KIND_")
    return str(kind)


def test_watch_begins_with_the_present_state_and_a_mark(client: runwire.Client) -> None:
    publish(client, aliases=["champion"])
    publish(client)
    publish(client, "churn")
    with client.models.watch() as feed:
        told = until_mark(feed)
        assert sorted(map(described, told)) == [
            *("model churn", "model fraud"),
            *("version churn/1", "version fraud/1", "version fraud/2"),
        ]
        assert {event.revision for event in told} == {0}
        fraud = next(event.model for event in told if event.model.name == "fraud")
        assert fraud == client.models.get("fraud")
        assert feed.revision == client.models.resolve_all([]).revision


def test_watch_tells_states_and_events_in_the_order_of_revisions(client: runwire.Client) -> None:
    seen = client.models.resolve_all([]).revision
    publish(client)
    publish(client, aliases=["champion"])
    client.models.update("fraud", description="cards")
    with client.models.watch(after_revision=seen) as feed:
        told = until_mark(feed)
        assert feed.revision == client.models.resolve_all([]).revision
    of_versions = [one for one in map(described, told) if "MODEL" not in one]
    assert of_versions == [
        *("version fraud/1", "VERSION_CREATED", "VERSION_CREATED"),
        *("version fraud/2", "ALIAS_MOVED", "model fraud"),
    ]
    (model,) = (event.model for event in told if event.HasField("model"))
    assert model.description == "cards"
    revisions = [event.revision for event in told]
    assert revisions == sorted(revisions)


def test_watch_tells_of_a_change_as_it_happens(client: runwire.Client) -> None:
    publish(client)
    with client.models.watch(from_now=True) as feed:
        assert until_mark(feed) == []
        moved = client.models.set_alias("fraud", "champion", 1, comment="first")
        for event in feed:
            if event.HasField("change"):
                break
        assert (event.change.alias, event.change.version) == ("champion", 1)
        assert event.change.comment == "first"
        assert event.revision == moved.revision
        assert client.models.resolve("fraud@champion").version == 1


def test_watch_goes_on_from_each_revision_it_told_without_a_gap(client: runwire.Client) -> None:
    for _ in range(3):
        publish(client, aliases=["champion"])
    client.models.update_version("fraud", 2, description="better")
    client.models.delete_version("fraud", 1)
    with client.models.watch(after_revision=0) as feed:
        whole = until_mark(feed)
    for place, event in enumerate(whole):
        with client.models.watch(after_revision=event.revision) as feed:
            rest = until_mark(feed)
        missed = [one for one in whole[place + 1 :] if one not in rest]
        assert missed == []
        again = [one for one in whole[: place + 1] if one.HasField("change") and one in rest]
        assert again == []


def test_watch_of_names_tells_of_these_alone_also_of_one_that_comes_later(
    client: runwire.Client,
) -> None:
    publish(client)
    with client.models.watch(["later", "fraud"], from_now=True) as feed:
        until_mark(feed)
        publish(client, "churn")
        publish(client, "later")
        told = [described(next(feed))]
        while told[-1] != "VERSION_CREATED":
            told.append(described(next(feed)))
        assert {"model later", "version later/1"} <= set(told)
        assert "churn" not in " ".join(told)


def test_watch_tells_what_was_deleted(client: runwire.Client) -> None:
    publish(client, aliases=["champion"])
    publish(client)
    seen = client.models.resolve_all([]).revision
    client.models.delete_version("fraud", 1)
    client.models.delete("fraud")
    with client.models.watch(after_revision=seen) as feed:
        told = list(map(described, until_mark(feed)))
    assert told == ["ALIAS_REMOVED", "VERSION_DELETED", "MODEL_DELETED"]


def test_watch_from_a_revision_that_never_was_says_so_and_ends(client: runwire.Client) -> None:
    publish(client)
    ahead = client.models.resolve_all([]).revision + 1
    events = list(client.models.watch(after_revision=ahead))
    assert [event.WhichOneof("event") for event in events] == ["expired"]


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("after_revision", {"after_revision": -1}),
        ("models", {"models": ["a/b"]}),
        ("models", {"models": [f"m{number}" for number in range(1001)]}),
        ("workspace", {"workspace": "\n"}),
    ],
)
def test_watch_of_what_cannot_be_is_refused(
    client: runwire.Client, field: str, arguments: dict[str, object]
) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as caught:
        next(client.models.watch(**arguments))  # type: ignore[arg-type]
    assert caught.value.metadata["field"] == field


def test_closed_watch_ends(client: runwire.Client) -> None:
    feed = client.models.watch()
    until_mark(feed)
    feed.close()
    assert list(feed) == []


def test_watches_of_two_workspaces_are_apart(client: runwire.Client) -> None:
    client.models.create("fraud", workspace="risk")
    with client.models.watch(workspace="risk") as feed:
        assert list(map(described, until_mark(feed))) == ["model fraud"]
    with client.models.watch() as feed:
        assert until_mark(feed) == []


# ResolveModels ----------------------------------------------------------------


def test_resolve_sees_each_change_that_was_acknowledged(client: runwire.Client) -> None:
    for _ in range(3):
        publish(client)
    for turn in range(30):
        version = turn % 3 + 1
        moved = client.models.set_alias("fraud", "champion", version)
        found = client.models.resolve_all(["fraud@champion"])
        assert found.resolved[0].model_version.version == version
        assert found.revision == moved.revision


def test_resolve_is_not_older_than_the_revision_it_is_given(client: runwire.Client) -> None:
    publish(client)
    revision = client.models.set_alias("fraud", "champion", 1).revision
    assert client.models.resolve_all([], min_revision=revision).revision == revision
    with pytest.raises(runwire.OutOfRangeError) as caught:
        client.models.resolve_all(["fraud@champion"], min_revision=revision + 1)
    assert caught.value.reason == "REVISION_AHEAD"
    assert caught.value.metadata["revision"] == str(revision)
    with pytest.raises(runwire.InvalidArgumentError):
        client.models.resolve_all([], min_revision=-1)


def test_watch_tells_versions_again_where_their_model_is_renamed_or_restored(
    client: runwire.Client,
) -> None:
    publish(client)
    publish(client)
    seen = client.models.resolve_all([]).revision
    client.models.update("fraud", new_name="cards")
    with client.models.watch(["fraud"], after_revision=seen) as feed:
        told = list(map(described, until_mark(feed)))
        seen = feed.revision
    assert told == ["model cards", "version cards/1", "version cards/2", "MODEL_RENAMED"]
    client.models.delete("cards")
    client.models.restore("cards")
    with client.models.watch(after_revision=seen) as feed:
        told = list(map(described, until_mark(feed)))
    assert told[-4:] == ["model cards", "version cards/1", "version cards/2", "MODEL_RESTORED"]
