"""What the registry promises: models, aliases, stages, references, history."""

from __future__ import annotations

import uuid

import pytest
import runwire
from runwire.v1.model_pb2 import Model, ModelVersion

from contract.registry import kinds

DEFAULT_STAGES = ["none", "staging", "production", "archived"]


# Models -----------------------------------------------------------------------


def test_created_model_is_found_by_its_name(client: runwire.Client) -> None:
    made = client.models.create("fraud", description="cards", tags={"team": "risk"})
    found = client.models.get("fraud")
    assert found == made
    assert (found.description, dict(found.tags)) == ("cards", {"team": "risk"})
    assert (list(found.stages), found.latest_version) == (DEFAULT_STAGES, 0)
    assert found.workspace == "default"
    assert found.create_time.seconds


def test_model_name_is_taken_once(client: runwire.Client) -> None:
    client.models.create("fraud")
    with pytest.raises(runwire.AlreadyExistsError) as caught:
        client.models.create("fraud")
    assert caught.value.reason == "ALREADY_EXISTS"


def test_existing_model_is_returned_where_that_is_asked(client: runwire.Client) -> None:
    made = client.models.create("fraud", description="first")
    again = client.models.create("fraud", description="second", get_existing=True)
    assert again == made


def test_repeated_create_is_answered_and_not_done_again(client: runwire.Client) -> None:
    request_id = uuid.uuid4().hex
    made = client.models.create("fraud", request_id=request_id)
    assert client.models.create("fraud", request_id=request_id) == made


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "a@b", "a\nb", "a\x00b"])
def test_name_that_breaks_references_is_refused(client: runwire.Client, name: str) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as caught:
        client.models.create(name)
    assert caught.value.metadata["field"] == "name"


def test_name_of_256_bytes_is_too_large(client: runwire.Client) -> None:
    client.models.create("ü" * 127 + "x")
    with pytest.raises(runwire.ResourceExhaustedError):
        client.models.create("ü" * 128)


def test_unknown_model_is_not_found(client: runwire.Client) -> None:
    with pytest.raises(runwire.NotFoundError) as caught:
        client.models.get("nobody")
    assert (caught.value.metadata["kind"], caught.value.metadata["key"]) == ("model", "nobody")


def test_update_changes_what_is_named_and_nothing_else(client: runwire.Client) -> None:
    client.models.create("fraud", description="cards", tags={"a": "1", "b": "2"})
    changed = client.models.update("fraud", tags={"a": "3", "c": "4"}, removed_tags=["b"])
    assert (dict(changed.tags), changed.description) == ({"a": "3", "c": "4"}, "cards")
    changed = client.models.update("fraud", description="")
    assert (dict(changed.tags), changed.description) == ({"a": "3", "c": "4"}, "")


def test_renamed_model_keeps_its_versions_and_frees_its_name(
    client: runwire.Client, fraud: Model
) -> None:
    client.models.set_alias("fraud", "champion", 2)
    client.models.update("fraud", new_name="cards")
    assert client.models.resolve("cards@champion").version == 2
    with pytest.raises(runwire.NotFoundError):
        client.models.get("fraud")
    assert client.models.create("fraud").latest_version == 0


def test_rename_that_is_repeated_changes_nothing(client: runwire.Client, fraud: Model) -> None:
    renamed = client.models.update("fraud", new_name="cards", etag=fraud.etag)
    assert client.models.update("fraud", new_name="cards", etag=fraud.etag) == renamed
    with pytest.raises(runwire.NotFoundError):
        client.models.update("other", new_name="cards")


def test_model_cannot_take_the_name_of_another(client: runwire.Client) -> None:
    client.models.create("a")
    client.models.create("b")
    with pytest.raises(runwire.AlreadyExistsError):
        client.models.update("a", new_name="b")


def test_etag_of_an_older_state_is_refused(client: runwire.Client) -> None:
    old = client.models.create("fraud")
    client.models.update("fraud", description="changed", etag=old.etag)
    with pytest.raises(runwire.ConflictError) as caught:
        client.models.update("fraud", description="lost", etag=old.etag)
    assert caught.value.reason == "ETAG_MISMATCH"
    with pytest.raises(runwire.ConflictError):
        client.models.delete("fraud", etag=old.etag)
    assert client.models.get("fraud").description == "changed"


def test_moved_alias_changes_the_etag_of_model_and_versions(
    client: runwire.Client, fraud: Model
) -> None:
    before = client.models.get_version("fraud", 2)
    client.models.set_alias("fraud", "champion", 2)
    assert client.models.get("fraud").etag != fraud.etag
    with pytest.raises(runwire.ConflictError):
        client.models.update_version("fraud", 2, description="x", etag=before.etag)


def test_update_of_nothing_is_refused(client: runwire.Client) -> None:
    client.models.create("fraud")
    for wrong in ([], ["latest_version"]):
        with pytest.raises(runwire.InvalidArgumentError) as caught:
            client.models.update("fraud", update_mask=wrong)
        assert caught.value.metadata["field"] == "update_mask"


def test_deleted_model_is_gone_and_its_name_is_free(client: runwire.Client, fraud: Model) -> None:
    client.models.set_alias("fraud", "champion", 1)
    client.models.delete("fraud")
    for call in (
        lambda: client.models.get("fraud"),
        lambda: client.models.get_version("fraud", 1),
        lambda: client.models.resolve("fraud@champion"),
        lambda: client.models.delete("fraud"),
    ):
        with pytest.raises(runwire.NotFoundError):
            call()
    assert list(client.models.search()) == []
    assert list(client.models.search_versions()) == []
    assert client.models.create("fraud").latest_version == 0


def test_models_are_searched_by_name_tag_and_alias(client: runwire.Client, fraud: Model) -> None:
    client.models.create("churn", tags={"team": "crm"})
    client.models.set_alias("fraud", "champion", 1)
    assert [model.name for model in client.models.search()] == ["churn", "fraud"]
    assert [model.name for model in client.models.search("name LIKE 'f%'")] == ["fraud"]
    assert [model.name for model in client.models.search("tags.team = 'crm'")] == ["churn"]
    assert [model.name for model in client.models.search("alias = 'champion'")] == ["fraud"]
    assert next(iter(client.models.search("name = 'fraud'"))) == client.models.get("fraud")


def test_models_are_paged_without_repetition(client: runwire.Client) -> None:
    names = [f"m{number:02}" for number in range(7)]
    for name in names:
        client.models.create(name)
    assert [model.name for model in client.models.search(page_size=3)] == names
    newest = client.models.search(order_by="name DESC", page_size=2)
    assert [model.name for model in newest] == names[::-1]


def test_page_token_of_another_query_is_refused(client: runwire.Client) -> None:
    for name in ("a", "b"):
        client.models.create(name)
    page = next(client.models.search(page_size=1).pages())
    with pytest.raises(runwire.InvalidArgumentError) as caught:
        list(client.models.search("name = 'a'", page_token=page.next_page_token))
    assert caught.value.reason == "PAGE_TOKEN_MISMATCH"


def test_filter_with_a_fault_names_its_position(client: runwire.Client) -> None:
    for search in (client.models.search, client.models.search_versions):
        with pytest.raises(runwire.InvalidArgumentError) as caught:
            list(search("name = "))
        assert caught.value.reason == "FILTER_SYNTAX"
        assert "position" in caught.value.metadata


# Aliases ----------------------------------------------------------------------


def test_alias_is_followed_when_it_moves_and_rolled_back_in_one_call(
    client: runwire.Client, fraud: Model
) -> None:
    assert client.models.set_alias("fraud", "champion", 1).previous_version == 0
    moved = client.models.set_alias("fraud", "champion", 3)
    assert client.models.resolve("fraud@champion").version == 3
    client.models.set_alias("fraud", "champion", moved.previous_version)
    assert client.models.resolve("fraud@champion").version == 1


def test_alias_moves_only_from_where_it_was_expected(client: runwire.Client, fraud: Model) -> None:
    client.models.set_alias("fraud", "champion", 1, expected_version=0)
    with pytest.raises(runwire.ConflictError) as caught:
        client.models.set_alias("fraud", "champion", 3, expected_version=2)
    assert caught.value.reason == "ALIAS_MOVED"
    assert caught.value.metadata["version"] == "1"
    with pytest.raises(runwire.ConflictError):
        client.models.set_alias("fraud", "champion", 3, expected_version=0)
    client.models.set_alias("fraud", "champion", 3, expected_version=1)
    assert client.models.get("fraud").aliases["champion"] == 3


def test_revisions_of_alias_moves_grow(client: runwire.Client, fraud: Model) -> None:
    first = client.models.set_alias("fraud", "champion", 1).revision
    second = client.models.set_alias("fraud", "champion", 2).revision
    third = client.models.delete_alias("fraud", "champion").revision
    assert first < second < third
    assert client.models.resolve_all([]).revision == third


def test_removed_alias_is_gone(client: runwire.Client, fraud: Model) -> None:
    client.models.set_alias("fraud", "champion", 1)
    with pytest.raises(runwire.ConflictError):
        client.models.delete_alias("fraud", "champion", expected_version=2)
    client.models.delete_alias("fraud", "champion", expected_version=1)
    with pytest.raises(runwire.NotFoundError):
        client.models.resolve("fraud@champion")
    with pytest.raises(runwire.NotFoundError):
        client.models.delete_alias("fraud", "champion")


@pytest.mark.parametrize("alias", ["", "7", "latest", "a b", "a/b", "x" * 256])
def test_alias_that_could_be_taken_for_something_else_is_refused(
    client: runwire.Client, fraud: Model, alias: str
) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as caught:
        client.models.set_alias("fraud", alias, 1)
    assert caught.value.metadata["field"] == "alias"


def test_alias_of_an_unknown_version_is_refused(client: runwire.Client, fraud: Model) -> None:
    with pytest.raises(runwire.NotFoundError):
        client.models.set_alias("fraud", "champion", 9)


# Stages -----------------------------------------------------------------------


def test_transition_brings_a_version_to_a_stage_in_any_case(
    client: runwire.Client, fraud: Model
) -> None:
    moved = client.models.transition_version("fraud", 1, "Production")
    assert moved.stage == "production"
    assert client.models.resolve("fraud/production").version == 1


def test_transition_checks_the_stage_it_expects(client: runwire.Client, fraud: Model) -> None:
    client.models.transition_version("fraud", 1, "staging", expected_stage="None")
    with pytest.raises(runwire.FailedPreconditionError) as caught:
        client.models.transition_version("fraud", 1, "production", expected_stage="none")
    assert caught.value.reason == "STAGE_CHANGED"
    assert caught.value.metadata["stage"] == "staging"


def test_transition_archives_the_others(client: runwire.Client, fraud: Model) -> None:
    client.models.transition_version("fraud", 1, "production")
    client.models.transition_version("fraud", 2, "production")
    client.models.transition_version("fraud", 3, "production", archive_others=True)
    stages = {one.version: one.stage for one in client.models.search_versions()}
    assert stages == {1: "archived", 2: "archived", 3: "production"}


def test_unknown_stage_is_refused_and_the_known_ones_are_told(
    client: runwire.Client, fraud: Model
) -> None:
    with pytest.raises(runwire.InvalidArgumentError, match="none, staging, production, archived"):
        client.models.transition_version("fraud", 1, "live")


def test_model_has_stages_of_its_own(client: runwire.Client) -> None:
    client.models.create("fraud", stages=["draft", "Live"])
    version = client.models.create_version("fraud", source_uri="s3://x")
    assert version.stage == "draft"
    assert client.models.transition_version("fraud", 1, "live").stage == "Live"
    with pytest.raises(runwire.InvalidArgumentError):
        client.models.transition_version("fraud", 1, "draft", archive_others=True)


def test_stage_that_is_in_use_cannot_be_taken_away(client: runwire.Client, fraud: Model) -> None:
    with pytest.raises(runwire.InvalidArgumentError, match="none"):
        client.models.update("fraud", stages=["live"])
    changed = client.models.update("fraud", stages=["none", "live"])
    assert list(changed.stages) == ["none", "live"]


@pytest.mark.parametrize("stages", [["a", "A"], [""], ["3"], ["latest"], ["a/b"]])
def test_stages_that_cannot_be_referred_to_are_refused(
    client: runwire.Client, stages: list[str]
) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as caught:
        client.models.create("fraud", stages=stages)
    assert caught.value.metadata["field"] == "stages"


# References -------------------------------------------------------------------


def test_references_mean_alias_number_latest_or_stage(client: runwire.Client, fraud: Model) -> None:
    client.models.set_alias("fraud", "champion", 1)
    client.models.transition_version("fraud", 2, "staging")

    def meant(reference: str) -> ModelVersion:
        return client.models.resolve(reference)

    assert meant("fraud@champion") == client.models.get_version("fraud", 1)
    assert meant("fraud/2").version == 2
    assert meant("fraud/latest").version == 3
    assert meant("fraud/Staging").version == 2


def test_reference_that_means_nothing_does_not_spoil_the_others(
    client: runwire.Client, fraud: Model
) -> None:
    references = ["fraud/1", "fraud@nobody", "fraud/9", "nobody/1", "fraud", "fraud/production"]
    answer = client.models.resolve_all(references)
    assert [one.reference for one in answer.resolved] == references
    assert answer.resolved[0].model_version.version == 1
    reasons = [one.fault.reason for one in answer.resolved[1:]]
    assert reasons == ["NOT_FOUND", "NOT_FOUND", "NOT_FOUND", "FIELD_INVALID", "NOT_FOUND"]


# History ----------------------------------------------------------------------


def test_history_tells_what_moved(client: runwire.Client, run_id: str) -> None:
    client.models.create_version(
        "fraud", source_run_id=run_id, aliases=["champion"], create_model=True
    )
    client.models.transition_version("fraud", 1, "production", comment="ready")
    client.models.delete_alias("fraud", "champion")
    client.models.delete_version("fraud", 1)
    events = list(client.models.list_events("fraud"))
    assert kinds(events) == [
        "VERSION_DELETED",
        "ALIAS_REMOVED",
        "STAGE_CHANGED",
        "ALIAS_MOVED",
        "VERSION_CREATED",
        "MODEL_CREATED",
    ]
    moved = events[2]
    assert (moved.stage, moved.previous_stage, moved.comment) == ("production", "none", "ready")
    assert [event.revision for event in events] == sorted(
        (event.revision for event in events), reverse=True
    )


def test_history_of_an_alias_answers_for_a_time(client: runwire.Client, fraud: Model) -> None:
    client.models.set_alias("fraud", "champion", 1)
    client.models.set_alias("fraud", "other", 1)
    (first,) = client.models.list_events("fraud", alias="champion")
    client.models.set_alias("fraud", "champion", 2, comment="better")
    now = list(client.models.list_events("fraud", alias="champion", page_size=1))
    then = list(client.models.list_events("fraud", alias="champion", until=first.time))
    assert [(event.version, event.previous_version) for event in now] == [(2, 1), (1, 0)]
    assert [event.version for event in then] == [1]
