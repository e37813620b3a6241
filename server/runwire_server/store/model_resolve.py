"""What a serving process asks: which version does a reference mean now?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from runwire.v1.model_pb2 import ModelVersion
from runwire.v1.registry_service_pb2 import ResolveModelsResponse

from runwire_server.errors import FieldInvalid, NotFound, ServiceError, TooLarge
from runwire_server.store import (
    model,
    model_alias,
    model_event,
    model_row,
    model_then,
    model_version,
)
from runwire_server.store.database import Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.fit import PAGE_BYTES
from runwire_server.store.model_name import LATEST, canonical_stage
from runwire_server.store.model_row import ModelRow, VersionRow
from runwire_server.store.tables import model_versions

MAX_REFERENCES = 1000
# Longer than any name with any alias or stage; each comes back with the answer.
MAX_REFERENCE_BYTES = 1024
# As many digits as surely fit a signed 64-bit integer.
_NUMBER = re.compile(r"[0-9]{1,18}")


def resolve(
    tx: Transaction, references: Sequence[str], workspace: str, at: int | None = None
) -> ResolveModelsResponse:
    """An answer for each reference, in order: its version, or the fault of this one.

    ``MODEL@ALIAS``, ``MODEL/7``, ``MODEL/latest`` or ``MODEL/STAGE`` (the newest version in that
    stage). All answers and the revision are of one moment, the answers of ``at`` (µs) where
    that is given. What would not fit one message
    has the fault ``TOO_LARGE``: ask for it in a call of its own.
    """
    workspace = workspace_of(workspace)
    if len(references) > MAX_REFERENCES:
        raise FieldInvalid("references", f"at most {MAX_REFERENCES} in a call")
    longest = max((len(reference.encode()) for reference in references), default=0)
    if longest > MAX_REFERENCE_BYTES:
        raise TooLarge("references", longest, MAX_REFERENCE_BYTES)
    response = ResolveModelsResponse(revision=model_event.current(tx, workspace))
    known: dict[str, ModelVersion] = {}
    size = 0
    for reference in references:
        resolved = response.resolved.add(reference=reference)
        try:
            if reference not in known:
                known[reference] = _resolve(tx, workspace, reference, at)
            size += known[reference].ByteSize()
            if size > PAGE_BYTES:
                raise TooLarge("references", size, PAGE_BYTES)
            resolved.model_version.CopyFrom(known[reference])
        except ServiceError as error:
            resolved.fault.CopyFrom(error.fault())
    return response


def _resolve(tx: Transaction, workspace: str, reference: str, at: int | None) -> ModelVersion:
    name, separator, selector = _parted(reference)
    row = model_row.find(tx, workspace, name)
    if at is not None:
        found: VersionRow | None = model_then.find(tx, row, separator, selector, at)
    elif separator == "@":
        version = model_alias.target(tx, row, selector)
        if not version:
            raise NotFound("alias", reference)
        found = model_row.find_version(tx, row, version)
    elif _NUMBER.fullmatch(selector):
        found = model_row.find_version(tx, row, int(selector))
    else:
        found = _newest(tx, row, selector)
    if found is None:
        raise NotFound("model version", reference)
    return model_version.message(tx, found)


def _parted(reference: str) -> tuple[str, str, str]:
    # A name holds neither "@" nor "/", so the first of them ends it.
    match = re.fullmatch(r"([^@/]+)([@/])(.+)", reference, re.DOTALL)
    if match is None:
        raise FieldInvalid("references", f"{reference[:200]!r} is not MODEL@ALIAS or MODEL/VERSION")
    name, separator, selector = match.groups()
    return name, separator, selector


def _newest(tx: Transaction, row: ModelRow, selector: str) -> VersionRow | None:
    statement = model_row.select_versions().where(model_versions.c.model_id == row.model_id)
    if selector.lower() != LATEST:
        stage = canonical_stage("references", model.stages_of(row), selector)
        statement = statement.where(model_versions.c.stage == stage)
    return tx.execute(statement.order_by(model_versions.c.version.desc()).limit(1)).one_or_none()
