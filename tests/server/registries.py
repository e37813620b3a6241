"""Registries of servers that share a database, and changes to make in them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import strategies as st
from runwire.v1 import registry_service_pb2 as pb
from runwire.v1.artifact_pb2 import ModelVersionKey
from runwire.v1.model_pb2 import Model, ModelVersion
from runwire_server.inprocess import InProcessContext
from runwire_server.services.model import RegistryService
from runwire_server.store.database import Database
from runwire_server.store.registry import Registry

NAMES = ("m", "n")
ALIASES = ("champion", "challenger")


class Service:
    """One server's registry, called as its transport would."""

    def __init__(self, db: Database):
        self.registry = Registry(db)
        self._service = RegistryService(db, self.registry, threading.Event())

    def __getattr__(self, method: str) -> Callable[..., Any]:
        request_type = getattr(pb, f"{method}Request")
        handler = getattr(self._service, method)
        context = InProcessContext(None, ())
        return lambda **fields: handler(request_type(**fields), context)

    def resolve(
        self, references: list[str], min_revision: int = 0, workspace: str = ""
    ) -> pb.ResolveModelsResponse:
        found = self.registry.resolve(references, workspace, min_revision)
        return pb.ResolveModelsResponse.FromString(found)

    def publish(self, name: str = "m", **fields: Any) -> Any:
        return self.CreateModelVersion(
            model=name, source_uri="s3://elsewhere/model", create_model=True, **fields
        )


@pytest.fixture
def service(db: Database) -> Iterator[Service]:
    made = Service(db)
    with closing(made.registry):
        yield made


@pytest.fixture
def other(db: Database) -> Iterator[Service]:
    """A server of its own on the same database: it hears of nothing but by asking."""
    with closing(Database(db.url.render_as_string(hide_password=False))) as its_own:
        made = Service(its_own)
        with closing(made.registry):
            yield made


class Queries:
    """Counts the statements that a database is asked, but those of who looks for news."""

    def __init__(self, db: Database):
        self.count = 0
        sa.event.listen(db.engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self.count += threading.current_thread().name != "runwire-registry"


def key(version: int, name: str = "m") -> ModelVersionKey:
    return ModelVersionKey(model=name, version=version)


name, version, alias = st.sampled_from(NAMES), st.integers(1, 3), st.sampled_from(ALIASES)
operation = st.one_of(
    st.builds(lambda n, a: ("publish", {"name": n, "aliases": a}), name, st.lists(alias)),
    st.builds(
        lambda n, a, v: ("SetModelAlias", {"model": n, "alias": a, "version": v}),
        *(name, alias, version),
    ),
    st.builds(lambda n, a: ("DeleteModelAlias", {"model": n, "alias": a}), name, alias),
    st.builds(
        lambda n, v, s, o: (
            "TransitionModelVersion",
            {"key": key(v, n), "to_stage": s, "archive_others": o},
        ),
        *(name, version, st.sampled_from(["production", "none"]), st.booleans()),
    ),
    st.builds(lambda n, v: ("DeleteModelVersion", {"key": key(v, n)}), name, version),
    st.builds(lambda n: ("DeleteModel", {"name": n}), name),
    st.builds(
        lambda n, to: (
            "UpdateModel",
            {"model": Model(name=n), "new_name": to, "update_mask": FieldMask(paths=["name"])},
        ),
        *(name, st.sampled_from([*NAMES, "other"])),
    ),
    st.builds(
        lambda n, v, text: (
            "UpdateModelVersion",
            {
                "model_version": ModelVersion(model=n, version=v, description=text),
                "update_mask": FieldMask(paths=["description"]),
            },
        ),
        *(name, version, st.sampled_from("ab")),
    ),
)
