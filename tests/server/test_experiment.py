"""Experiments below the API: ids, locks, the memory of request ids, sizes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import sqlalchemy as sa
from google.protobuf.field_mask_pb2 import FieldMask
from runwire.v1.experiment_pb2 import Experiment
from runwire.v1.experiment_service_pb2 import CreateExperimentRequest, SearchExperimentsRequest
from runwire.v1.registry_service_pb2 import CreateModelRequest
from runwire_server.errors import AlreadyExists, FieldInvalid, RequestIdReused, TooLarge
from runwire_server.limits import LIMITS
from runwire_server.retry import retrying
from runwire_server.store import experiment, request
from runwire_server.store.database import Database
from runwire_server.store.tables import experiments, requests

T = TypeVar("T")


def _create(db: Database, **fields: object) -> tuple[Experiment, bool]:
    with db.write() as tx:
        return experiment.create(tx, CreateExperimentRequest(**fields))  # type: ignore[arg-type]


def _together(count: int, call: Callable[[int], T]) -> list[T]:
    """``call(i)`` from so many threads that start at one moment."""
    barrier = threading.Barrier(count)

    def run(i: int) -> T:
        barrier.wait()
        return retrying(lambda: call(i))

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_ids_count_up_from_the_default_experiment(db: Database) -> None:
    assert [_create(db, name=name)[0].experiment_id for name in "abc"] == ["1", "2", "3"]


def test_names_taken_at_the_same_time_go_to_one_winner(db: Database) -> None:
    def call(_: int) -> str:
        try:
            return _create(db, name="popular")[0].experiment_id
        except AlreadyExists:
            return "taken"

    assert sorted(_together(8, call)) == ["1"] + ["taken"] * 7


def test_experiments_made_at_the_same_time_get_different_ids(db: Database) -> None:
    ids = _together(8, lambda i: _create(db, name=f"e{i}")[0].experiment_id)
    assert sorted(map(int, ids)) == list(range(1, 9))


def test_get_or_create_makes_one_experiment_for_many_callers(db: Database) -> None:
    def call(_: int) -> int:
        with db.write() as tx:
            return experiment.get_or_create(tx, "shared", "")

    assert set(_together(8, call)) == {1}


def test_a_request_id_used_at_the_same_time_makes_one_experiment(db: Database) -> None:
    made = _together(6, lambda _: _create(db, name="once", request_id="r-1"))
    assert {one.experiment_id for one, _ in made} == {"1"}
    assert sorted(existed for _, existed in made) == [False] + [True] * 5


def test_a_request_id_is_forgotten_after_24_hours(db: Database) -> None:
    _create(db, name="first", request_id="r-1")
    with db.write() as tx:
        old = requests.c.create_time - request.KEPT_MICROS - 1
        tx.execute(sa.update(requests).values(create_time=old))
    assert _create(db, name="second", request_id="r-1")[1] is False
    with pytest.raises(RequestIdReused):
        _create(db, name="first", request_id="r-1")


def test_expired_request_ids_are_swept_out_by_new_ones(db: Database) -> None:
    for i in range(5):
        _create(db, name=f"e{i}", request_id=f"r-{i}")
    with db.write() as tx:
        tx.execute(sa.update(requests).values(create_time=0))
    _create(db, name="new", request_id="new")
    with db.read() as tx:
        assert tx.execute(sa.select(requests.c.request_id)).scalars().all() == ["new"]


def test_a_request_id_belongs_to_one_method(db: Database) -> None:
    _create(db, name="first", request_id="r-1")
    with db.write() as tx, pytest.raises(RequestIdReused):
        request.recall(tx, CreateModelRequest(name="first", request_id="r-1"))


def test_a_failed_create_does_not_use_up_its_request_id(db: Database) -> None:
    _create(db, name="taken")
    with pytest.raises(AlreadyExists):
        _create(db, name="taken", request_id="r-1")
    assert _create(db, name="free", request_id="r-1")[1] is False


@pytest.mark.parametrize("request_id", ["x" * 129, "a\0b"])
def test_a_request_id_that_cannot_be_kept_is_refused(db: Database, request_id: str) -> None:
    with pytest.raises((FieldInvalid, TooLarge)):
        _create(db, name="e", request_id=request_id)


def test_every_change_draws_the_next_revision_and_no_change_draws_none(db: Database) -> None:
    mask = FieldMask(paths=["description"])
    _create(db, name="e")
    etags = []
    for text in ("one", "one", "two"):
        with db.write() as tx:
            changed = Experiment(experiment_id="1", description=text)
            etags.append(experiment.update(tx, changed, mask).etag)
    assert etags == ["2", "2", "3"]


def test_an_experiment_cannot_outgrow_a_message(db: Database) -> None:
    _create(db, name="e")
    value = "x" * LIMITS.max_value_bytes
    big = Experiment(experiment_id="1", tags={str(i): value for i in range(20)})

    def update() -> None:
        with db.write() as tx:
            experiment.update(tx, big, FieldMask(paths=["tags"]))

    with pytest.raises(TooLarge):
        update()
    with db.read() as tx:
        assert not experiment.get(tx, experiment_id="1").tags


def test_any_number_of_tags_can_be_removed_at_once(db: Database) -> None:
    made, _ = _create(db, name="many", tags={str(number): "" for number in range(70_000)})
    with db.write() as tx:
        bare = Experiment(experiment_id=made.experiment_id)
        changed = experiment.update(tx, bare, FieldMask(paths=["tags"]))
    assert not changed.tags


def test_a_page_ends_before_it_outgrows_a_message_and_the_next_goes_on(db: Database) -> None:
    value = "x" * LIMITS.max_value_bytes
    for i in range(7):
        _create(db, name=f"e{i}", tags={str(k): value for k in range(15)})
    names: list[str] = []
    token, pages = "", 0
    while token or not pages:
        with db.read() as tx:
            asked = SearchExperimentsRequest(order_by="name", page_token=token, page_size=100)
            found, token = experiment.search(tx, asked)
        assert sum(one.ByteSize() for one in found) < LIMITS.max_message_bytes
        names += [one.name for one in found]
        pages += 1
    assert names == ["Default", *(f"e{i}" for i in range(7))]
    assert pages > 1


def test_deleting_an_experiment_leaves_its_row_for_the_trash(db: Database) -> None:
    _create(db, name="e")
    with db.write() as tx:
        experiment.delete(tx, "1")
    with db.read() as tx:
        query = sa.select(experiments.c.delete_time).where(experiments.c.experiment_id == 1)
        assert tx.execute(query).scalar_one() is not None
