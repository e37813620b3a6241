"""What ModelWatcher promises, whatever stands behind the client."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import runwire
from runwire.registry import ModelChange, ModelWatcher

Changes = queue.Queue[ModelChange]


def publish(client: runwire.Client, model: str = "fraud", *aliases: str) -> int:
    made = client.models.create_version(
        model, source_uri="s3://elsewhere/model", create_model=True, aliases=aliases
    )
    return made.version


@contextmanager
def watching(
    client: runwire.Client, *references: str, path: Path | None = None
) -> Iterator[tuple[ModelWatcher, Changes]]:
    told: Changes = queue.Queue()
    uri = client.tracking_uri
    with ModelWatcher(references, uri=uri, on_change=told.put, path=path) as models:
        assert models.wait_ready(30)
        yield models, told


def versions(change: ModelChange) -> tuple[int | None, int | None]:
    before, now = change.before, change.now
    return before.version if before else None, now.version if now else None


def test_watcher_knows_and_tells_what_references_mean(client: runwire.Client) -> None:
    publish(client, "fraud", "champion")
    publish(client)
    with watching(client, "fraud@champion", "fraud/latest") as (models, told):
        assert models.get("fraud@champion") == client.models.resolve("fraud@champion")
        first, second = told.get(timeout=120), told.get(timeout=120)
        assert {first.reference, second.reference} == {"fraud@champion", "fraud/latest"}
        client.models.set_alias("fraud", "champion", 2)
        moved = told.get(timeout=120)
        assert (moved.reference, *versions(moved)) == ("fraud@champion", 1, 2)
        assert models.get("fraud@champion").version == 2
        assert models.connected
        assert models.age_s is not None


def test_reference_that_means_nothing_is_a_typed_error_until_it_appears(
    client: runwire.Client,
) -> None:
    with watching(client, "later@champion") as (models, told):
        nothing = told.get(timeout=120)
        assert versions(nothing) == (None, None)
        assert nothing.error is not None
        assert nothing.error.reason == "NOT_FOUND"
        for _ in range(2):
            with pytest.raises(runwire.NotFoundError):
                models.get("later@champion")
        publish(client, "later", "champion")
        assert versions(told.get(timeout=120)) == (None, 1)
        assert models.get("later@champion").version == 1
        client.models.delete_alias("later", "champion")
        assert versions(told.get(timeout=120)) == (1, None)
        with pytest.raises(runwire.NotFoundError):
            models.get("later@champion")


def test_stage_moves_and_deletions_are_told(client: runwire.Client) -> None:
    publish(client)
    publish(client)
    with watching(client, "fraud/production") as (_, told):
        assert versions(told.get(timeout=120)) == (None, None)
        client.models.transition_version("fraud", 1, "production")
        assert versions(told.get(timeout=120)) == (None, 1)
        client.models.transition_version("fraud", 2, "production")
        assert versions(told.get(timeout=120)) == (1, 2)
        client.models.delete_version("fraud", 2)
        assert versions(told.get(timeout=120)) == (2, 1)
        client.models.delete("fraud")
        assert versions(told.get(timeout=120)) == (1, None)


def test_model_of_the_same_name_and_number_that_is_another_one_is_told(
    client: runwire.Client,
) -> None:
    publish(client)
    with watching(client, "fraud/1") as (models, told):
        old = told.get(timeout=120).now
        client.models.delete("fraud")
        publish(client)
        change = told.get(timeout=120)
        while change.now is None:
            change = told.get(timeout=120)
        assert change.now != old
        assert models.get("fraud/1") == client.models.resolve("fraud/1")


def test_reference_to_a_name_that_was_given_up_means_nothing(client: runwire.Client) -> None:
    publish(client, "fraud", "champion")
    with watching(client, "fraud@champion", "cards@champion") as (models, told):
        meant = {change.reference: change for change in (told.get(timeout=120) for _ in range(2))}
        assert versions(meant["fraud@champion"]) == (None, 1)
        client.models.update("fraud", new_name="cards")
        meant = {change.reference: change for change in (told.get(timeout=120) for _ in range(2))}
        assert versions(meant["fraud@champion"]) == (1, None)
        assert versions(meant["cards@champion"]) == (None, 1)
        assert models.get("cards@champion").model == "cards"


def test_watcher_of_the_old_name_alone_hears_of_a_new_one(client: runwire.Client) -> None:
    publish(client, "fraud", "champion")
    with watching(client, "fraud@champion") as (_, told):
        assert versions(told.get(timeout=120)) == (None, 1)
        client.models.update("fraud", new_name="cards")
        assert versions(told.get(timeout=120)) == (1, None)


def test_notes_are_known_but_are_no_other_version(client: runwire.Client) -> None:
    publish(client, "fraud", "champion")
    with watching(client, "fraud@champion") as (models, told):
        told.get(timeout=120)
        client.models.update_version("fraud", 1, description="better")
        publish(client, "fraud", "champion")
        assert versions(told.get(timeout=120)) == (1, 2)
        assert models.get("fraud@champion").description == ""


def test_aliases_that_flap_leave_nobody_with_an_old_state(client: runwire.Client) -> None:
    for _ in range(3):
        publish(client, "fraud", "champion", "challenger")
    references = ["fraud@champion", "fraud@challenger", "fraud@end"]
    with watching(client, *references) as (models, told):
        for turn in range(60):
            client.models.set_alias("fraud", "champion", turn % 3 + 1)
            client.models.set_alias("fraud", "challenger", (turn + 1) % 3 + 1)
        client.models.set_alias("fraud", "champion", 1)
        client.models.set_alias("fraud", "challenger", 2)
        client.models.set_alias("fraud", "end", 1)
        latest: dict[str, int | None] = {}
        while latest.get("fraud@end") != 1:
            change = told.get(timeout=120)
            latest[change.reference] = versions(change)[1]
        assert [latest[reference] for reference in references] == [1, 2, 1]
        assert [models.get(reference).version for reference in references] == [1, 2, 1]


def test_answers_outlive_the_watcher_in_a_file(client: runwire.Client, tmp_path: Path) -> None:
    publish(client, "fraud", "champion")
    path = tmp_path / "kept" / "models.json"
    with watching(client, "fraud@champion", path=path) as (models, _):
        known = models.get("fraud@champion")
    assert models.get("fraud@champion") == known
    publish(client, "fraud", "champion")
    with watching(client, "fraud@champion", path=path) as (models, told):
        while versions(told.get(timeout=120))[1] != 2:
            pass
        assert models.get("fraud@champion").version == 2
    with (
        watching(client, "fraud@challenger", path=path) as (models, _),
        pytest.raises(runwire.NotFoundError),
    ):
        models.get("fraud@challenger")


@pytest.mark.parametrize("references", [[], ["fraud"], ["@champion"], ["fraud/"]])
def test_what_can_mean_nothing_is_refused_at_once(
    client: runwire.Client, references: list[str]
) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as caught:
        ModelWatcher(references, uri=client.tracking_uri)
    assert caught.value.metadata["field"] == "references"


def test_reference_that_is_not_watched_is_refused(client: runwire.Client) -> None:
    with (
        watching(client, "fraud@champion") as (models, _),
        pytest.raises(runwire.InvalidArgumentError),
    ):
        models.get("fraud@other")
