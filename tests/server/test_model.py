"""The registry as only the server sees it: races, revisions, history, idempotence."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st
from runwire.v1 import registry_service_pb2 as pb
from runwire.v1.artifact_pb2 import ModelVersionKey
from runwire.v1.model_pb2 import Model, ModelEvent, ModelVersion
from runwire_server import errors
from runwire_server.errors import ServiceError
from runwire_server.inprocess import InProcessContext
from runwire_server.limits import LIMITS
from runwire_server.retry import retrying
from runwire_server.services.model import RegistryService
from runwire_server.store import model_event, model_name
from runwire_server.store.database import Database
from runwire_server.store.registry import Registry as RegistryInMemory
from runwire_server.store.tables import model_aliases, model_events, models


class Registry:
    """The service as its interceptor runs it: again, where it lost a race."""

    def __init__(self, db: Database):
        self._service = RegistryService(db, RegistryInMemory(db), threading.Event())
        self.user = ""

    def __getattr__(self, method: str) -> Callable[..., Any]:
        request_type = getattr(pb, f"{method}Request")
        response_type = getattr(pb, f"{method}Response")
        handler = getattr(self._service, method)
        context = InProcessContext(None, [("runwire-user", self.user)])

        def call(**fields: Any) -> Any:
            found = retrying(lambda: handler(request_type(**fields), context))
            return response_type.FromString(found) if isinstance(found, bytes) else found

        return call

    def version(self, model: str = "m", **fields: Any) -> ModelVersion:
        fields = {"source_uri": "s3://elsewhere/model", "create_model": True, **fields}
        made: ModelVersion = self.CreateModelVersion(model=model, **fields).model_version
        return made

    def model(self, name: str = "m") -> Model:
        found: Model = self.GetModel(name=name).model
        return found

    def events(self, **fields: Any) -> list[ModelEvent]:
        return list(self.ListModelEvents(**fields).events)


@pytest.fixture
def registry(db: Database) -> Registry:
    return Registry(db)


def key(version: int, model: str = "m") -> ModelVersionKey:
    return ModelVersionKey(model=model, version=version)


def at_once(count: int, call: Callable[[int], Any]) -> list[Any]:
    """The results, or errors, of ``call(0..count-1)`` started together."""
    barrier = threading.Barrier(count)

    def one(number: int) -> Any:
        barrier.wait()
        try:
            return call(number)
        except ServiceError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


# Races ------------------------------------------------------------------------


def test_versions_made_at_once_have_dense_numbers(registry: Registry) -> None:
    made = at_once(16, lambda _: registry.version().version)
    assert sorted(made) == list(range(1, 17))
    assert registry.model().latest_version == 16


def test_versions_made_at_once_all_move_the_alias_in_turn(registry: Registry) -> None:
    at_once(8, lambda _: registry.version(aliases=["newest"]))
    moves = registry.events(model="m", alias="newest")
    assert [(move.previous_version, move.version) for move in moves] == [
        (number - 1, number) for number in range(8, 0, -1)
    ]


def test_alias_race_has_one_winner(registry: Registry) -> None:
    for _ in range(9):
        registry.version()
    registry.SetModelAlias(model="m", alias="champion", version=1)

    def move(number: int) -> Any:
        return registry.SetModelAlias(
            model="m", alias="champion", version=number + 2, expected_version=1
        )

    results = at_once(8, move)
    won = [number + 2 for number, one in enumerate(results) if not isinstance(one, ServiceError)]
    lost = [one for one in results if isinstance(one, ServiceError)]
    assert len(won) == 1
    assert [type(error) for error in lost] == [errors.AliasMoved] * 7
    assert registry.model().aliases == {"champion": won[0]}
    assert {error.metadata["version"] for error in lost} == {str(won[0])}


def test_alias_only_where_unset_has_one_winner(registry: Registry) -> None:
    for _ in range(4):
        registry.version()
    results = at_once(
        4,
        lambda number: registry.SetModelAlias(
            model="m", alias="first", version=number + 1, expected_version=0
        ),
    )
    assert sum(isinstance(one, errors.AliasMoved) for one in results) == 3


def test_model_created_at_once_exists_once(registry: Registry) -> None:
    results = at_once(8, lambda _: registry.CreateModel(name="one"))
    assert sum(isinstance(one, errors.AlreadyExists) for one in results) == 7


def test_model_got_or_created_at_once_is_the_same(registry: Registry) -> None:
    results = at_once(8, lambda _: registry.CreateModel(name="one", get_existing=True))
    assert sum(not one.existed for one in results) == 1
    assert len({one.model.etag for one in results}) == 1


def test_same_request_at_once_makes_one_version(registry: Registry) -> None:
    request_id = uuid.uuid4().hex
    made = at_once(8, lambda _: registry.version(request_id=request_id).version)
    assert made == [1] * 8


def test_expected_stage_race_has_one_winner(registry: Registry) -> None:
    registry.version()
    results = at_once(
        3,
        lambda number: registry.TransitionModelVersion(
            key=key(1),
            to_stage=("staging", "production", "archived")[number],
            expected_stage="none",
        ),
    )
    assert sum(isinstance(one, errors.StageChanged) for one in results) == 2


# Revisions and history --------------------------------------------------------


def test_every_change_draws_its_own_revision(registry: Registry, db: Database) -> None:
    at_once(8, lambda number: registry.version(f"m{number}", aliases=["a", "b"]))
    with db.read() as tx:
        revisions = list(tx.execute(sa.select(model_events.c.revision)).scalars())
        current = model_event.current(tx, "default")
    assert len(set(revisions)) == 8 * 4
    assert current == 8 * 4


def test_workspaces_have_their_own_models_and_revisions(registry: Registry, db: Database) -> None:
    registry.version(workspace="a")
    registry.version(workspace="b")
    registry.version(workspace="b")
    assert registry.GetModel(name="m", workspace="a").model.latest_version == 1
    assert registry.GetModel(name="m", workspace="b").model.latest_version == 2
    with pytest.raises(errors.NotFound):
        registry.model()
    with db.read() as tx:
        assert model_event.current(tx, "a") == 2
        assert model_event.current(tx, "b") == 3
        assert model_event.current(tx, "default") == 0


def test_events_tell_who_was_champion_at_a_time(registry: Registry) -> None:
    registry.version(aliases=["champion"])
    registry.version()
    (first,) = registry.events(model="m", alias="champion")
    registry.SetModelAlias(model="m", alias="champion", version=2, comment="beats it by 3 %")
    then = registry.events(model="m", alias="champion", until=first.time, page_size=1)
    assert [event.version for event in then] == [1]
    now = registry.events(model="m", alias="champion", page_size=1)
    assert [(event.version, event.previous_version, event.comment) for event in now] == [
        (2, 1, "beats it by 3 %")
    ]


def test_events_are_paged_newest_first(registry: Registry) -> None:
    for _ in range(7):
        registry.version()
    versions, token = [], ""
    while True:
        page = registry.ListModelEvents(model="m", page_size=3, page_token=token)
        versions += [event.version for event in page.events]
        token = page.next_page_token
        if not token:
            break
    assert versions == [7, 6, 5, 4, 3, 2, 1, 0]  # the last is the model itself


def test_events_refuse_the_token_of_another_query(registry: Registry) -> None:
    registry.version(aliases=["a"])
    token = registry.ListModelEvents(model="m", page_size=1).next_page_token
    with pytest.raises(errors.PageTokenMismatch):
        registry.ListModelEvents(model="m", alias="a", page_token=token)


def test_history_outlives_rename_and_deletion(registry: Registry) -> None:
    registry.version(aliases=["champion"])
    registry.UpdateModel(model=Model(name="m"), update_mask=FieldMask(paths=["name"]), new_name="n")
    registry.DeleteModel(name="n")
    assert [event.kind for event in registry.events(model="n")] == [
        ModelEvent.KIND_MODEL_DELETED,
        ModelEvent.KIND_ALIAS_REMOVED,
        ModelEvent.KIND_MODEL_RENAMED,
        ModelEvent.KIND_ALIAS_MOVED,
        ModelEvent.KIND_VERSION_CREATED,
        ModelEvent.KIND_MODEL_CREATED,
    ]
    with pytest.raises(errors.NotFound):
        registry.events(model="m")


def test_model_and_version_cannot_outgrow_a_message_by_their_tags(registry: Registry) -> None:
    registry.version()
    long = "x" * LIMITS.max_value_bytes
    full, more = {f"k{number}": long for number in range(15)}, {"more": long}
    whole, one = FieldMask(paths=["tags"]), FieldMask(paths=["tags.more"])
    registry.UpdateModel(model=Model(name="m", tags=full), update_mask=whole)
    with pytest.raises(errors.TooLarge):
        registry.UpdateModel(model=Model(name="m", tags=more), update_mask=one)
    version = ModelVersion(model="m", version=1, tags=full)
    registry.UpdateModelVersion(model_version=version, update_mask=whole)
    version = ModelVersion(model="m", version=1, tags=more)
    with pytest.raises(errors.TooLarge):
        registry.UpdateModelVersion(model_version=version, update_mask=one)


def test_references_are_of_a_length_that_an_answer_can_repeat(registry: Registry) -> None:
    name, stages = "é" * 127, ["ü" * 127, *(f"{n}" + "s" * 250 for n in range(31))]
    registry.CreateModel(name=name, stages=stages)
    asked = [f"{name}/{number:0>500}x" for number in range(1000)]
    response = registry.ResolveModels(references=asked)
    assert len(response.resolved) == 1000
    assert response.ByteSize() < LIMITS.max_message_bytes
    assert registry.ResolveModels(references=[f"{name}/{stages[0]}"]).resolved[0].fault.reason
    with pytest.raises(errors.TooLarge):
        registry.ResolveModels(references=["m/" + "x" * 2000])


def test_events_with_long_comments_fit_into_messages(registry: Registry) -> None:
    registry.version()
    registry.version()
    for move in range(60):
        comment = "x" * LIMITS.max_value_bytes
        registry.SetModelAlias(model="m", alias="a", version=move % 2 + 1, comment=comment)
    seen, token = 0, ""
    while not seen or token:
        page = registry.ListModelEvents(alias="a", page_size=1000, page_token=token)
        assert page.ByteSize() < LIMITS.max_message_bytes
        seen += len(page.events)
        token = page.next_page_token
    assert seen == 60


@pytest.mark.parametrize("alias", ["\x00", "a b", "7", "latest"])
def test_events_of_what_can_be_no_alias_are_refused(registry: Registry, alias: str) -> None:
    with pytest.raises(errors.FieldInvalid):
        registry.events(alias=alias)


def test_events_of_a_model_that_never_was_are_not_found(registry: Registry) -> None:
    with pytest.raises(errors.NotFound):
        registry.events(model="never")


# Idempotence ------------------------------------------------------------------


def test_repeated_create_returns_the_model_even_when_renamed(registry: Registry) -> None:
    request_id = uuid.uuid4().hex
    assert not registry.CreateModel(name="m", request_id=request_id).existed
    registry.UpdateModel(model=Model(name="m"), update_mask=FieldMask(paths=["name"]), new_name="n")
    again = registry.CreateModel(name="m", request_id=request_id)
    assert (again.existed, again.model.name) == (True, "n")


def test_repeated_transition_does_not_fail_on_its_own_effect(registry: Registry) -> None:
    registry.version()
    call = {"key": key(1), "to_stage": "staging", "expected_stage": "none", "request_id": "r1"}
    registry.TransitionModelVersion(**call)
    assert registry.TransitionModelVersion(**call).model_version.stage == "staging"
    moved = [event for event in registry.events() if event.kind == ModelEvent.KIND_STAGE_CHANGED]
    assert len(moved) == 1


def test_repeated_alias_move_succeeds_and_is_recorded_once(registry: Registry) -> None:
    registry.version()
    call = {"model": "m", "alias": "champion", "version": 1, "expected_version": 0}
    first = registry.SetModelAlias(**call)
    second = registry.SetModelAlias(**call)
    assert (first.previous_version, second.previous_version) == (0, 1)
    assert first.revision == second.revision
    assert len(registry.events(alias="champion")) == 1


def test_request_id_with_other_content_is_refused(registry: Registry) -> None:
    registry.version(request_id="r1")
    with pytest.raises(errors.RequestIdReused):
        registry.version(request_id="r1", description="another")


# Deletion ---------------------------------------------------------------------


def test_number_of_a_deleted_version_is_never_given_again(registry: Registry) -> None:
    registry.version()
    registry.version()
    registry.DeleteModelVersion(key=key(2))
    assert registry.model().latest_version == 1
    assert registry.version().version == 3


def test_deleted_version_takes_its_aliases_with_it(registry: Registry, db: Database) -> None:
    registry.version(aliases=["a", "b"])
    registry.version(aliases=["c"])
    registry.DeleteModelVersion(key=key(1))
    assert registry.model().aliases == {"c": 2}
    gone = [ModelEvent.KIND_ALIAS_REMOVED]
    removed = {event.alias for event in registry.events(kinds=gone)}
    assert removed == {"a", "b"}
    with db.read() as tx:
        assert len(tx.execute(sa.select(model_aliases)).all()) == 1


def test_deleted_name_can_be_used_again_and_starts_empty(registry: Registry, db: Database) -> None:
    registry.version(aliases=["champion"], tags={"a": "b"})
    registry.DeleteModel(name="m")
    with pytest.raises(errors.NotFound):
        registry.GetModelVersion(key=key(1))
    fresh = registry.CreateModel(name="m").model
    assert (fresh.latest_version, dict(fresh.aliases), dict(fresh.tags)) == (0, {}, {})
    assert registry.version().version == 1
    with db.read() as tx:
        assert len(tx.execute(sa.select(models)).all()) == 2


# Sources ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        {"source_uri": ""},
        {"source_run_id": "0" * 32},
        {"source_path": "model"},
    ],
    ids=["none", "two", "path without run"],
)
def test_version_needs_exactly_one_source(registry: Registry, source: dict[str, str]) -> None:
    with pytest.raises(errors.FieldInvalid):
        registry.version(**source)


def test_refused_version_leaves_no_trace(registry: Registry, db: Database) -> None:
    with pytest.raises(errors.NotFound, match="run"):
        registry.version(source_uri="", source_run_id="0" * 32)
    with pytest.raises(errors.NotFound, match="model"):
        registry.model()
    with db.read() as tx:
        assert model_event.current(tx, "default") == 0


def test_signature_must_be_json(registry: Registry) -> None:
    assert registry.version(signature='{"inputs": []}').signature == '{"inputs": []}'
    for signature in ("{", "[" * 100_000):
        with pytest.raises(errors.FieldInvalid):
            registry.version(signature=signature)


# Grammar ----------------------------------------------------------------------


@given(st.text(max_size=300))
def test_name_that_is_accepted_can_be_referred_to(name: str) -> None:
    try:
        model_name.check_name("name", name)
    except ServiceError:
        assert (
            not name.strip()
            or len(name.encode()) > 255
            or not name.isprintable()
            or (set(name) & set("/:@"))
        )
    else:
        assert f"{name}@a".partition("@")[0] == name
        assert f"{name}/1".partition("/")[0] == name
        assert 1 <= len(name.encode()) <= 255


@given(st.from_regex(r"[A-Za-z0-9_.-]{1,255}", fullmatch=True))
def test_alias_of_the_grammar_is_accepted_unless_it_is_a_number(alias: str) -> None:
    if alias.isdigit() or alias.lower() == "latest":
        with pytest.raises(errors.FieldInvalid):
            model_name.check_alias("alias", alias)
    else:
        model_name.check_alias("alias", alias)


@pytest.mark.parametrize("alias", ["", "7", "٧", "latest", "Latest", "a b", "a/b", "é", "x" * 256])
def test_alias_outside_the_grammar_is_refused(alias: str) -> None:
    with pytest.raises(errors.FieldInvalid):
        model_name.check_alias("alias", alias)


@pytest.mark.parametrize(
    "stages",
    [["a", "A"], [""], ["7"], ["latest"], ["a/b"], ["x\n"], [f"s{n}" for n in range(33)]],
)
def test_stages_that_cannot_be_told_apart_are_refused(stages: list[str]) -> None:
    with pytest.raises(errors.FieldInvalid):
        model_name.check_stages("stages", stages)
