"""What a serving process asks: which version does a reference mean now?

``answer`` asks the database. ``model_snapshot`` keeps its answers, which are made to be
kept: each is a part of the response, serialized.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from runwire.v1.registry_service_pb2 import ResolveModelsResponse

from runwire_server.errors import FieldInvalid, NotFound, ServiceError, TooLarge
from runwire_server.store import model, model_alias, model_row, model_then, model_version
from runwire_server.store.database import Transaction
from runwire_server.store.fit import PAGE_BYTES
from runwire_server.store.model_name import LATEST, canonical_stage, check_alias
from runwire_server.store.model_row import ModelRow, VersionRow
from runwire_server.store.tables import model_versions

MAX_REFERENCES = 1000
# Longer than any name with any alias or stage; each comes back with the answer.
MAX_REFERENCE_BYTES = 1024
# As many digits as surely fit a signed 64-bit integer.
_NUMBER = re.compile(r"[0-9]{1,18}")
# A name holds neither "@" nor "/", so the first of them ends it.
_REFERENCE = re.compile(r"([^@/]+)([@/])(.+)", re.DOTALL)


class Answer(NamedTuple):
    """What a reference means, or why it means nothing. It holds until a model changes that it
    depends on: the one that has the name or the id, or was the source of a copy. Without any
    of them, for good."""

    response: bytes  # a ResolveModelsResponse with this one in it
    size_bytes: int  # of the version; 0: it is a fault
    name: str = ""
    model_id: str = ""
    source_model_id: str = ""

    @property
    def models(self) -> set[str]:
        """Names and ids of the models that it depends on."""
        return {self.name, self.model_id, self.source_model_id} - {""}


def check(references: Sequence[str]) -> None:
    """Raises ``FieldInvalid`` and ``TooLarge`` for what no call may ask."""
    if len(references) > MAX_REFERENCES:
        raise FieldInvalid("references", f"at most {MAX_REFERENCES} in a call")
    longest = max((len(reference.encode()) for reference in references), default=0)
    if longest > MAX_REFERENCE_BYTES:
        raise TooLarge("references", longest, MAX_REFERENCE_BYTES)


def joined(references: Sequence[str], answers: Sequence[Answer], revision: int) -> bytes:
    """The whole response: serialized messages behind one another are one with all their fields.

    What would not fit one message has the fault ``TOO_LARGE``: ask for it in a call of its own.
    """
    parts, size = [], 0
    for reference, one in zip(references, answers, strict=True):
        size += one.size_bytes
        if one.size_bytes and size > PAGE_BYTES:
            one = _fault(reference, TooLarge("references", size, PAGE_BYTES))
        parts.append(one.response)
    parts.append(ResolveModelsResponse(revision=revision).SerializeToString())
    return b"".join(parts)


def answer(tx: Transaction, workspace: str, reference: str, at: int | None = None) -> Answer:
    """``MODEL@ALIAS``, ``MODEL/7``, ``MODEL/latest`` or ``MODEL/STAGE`` (the newest version in
    that stage): its version, now or ``at`` (µs), or its fault."""
    name = model_id = ""
    try:
        name, separator, selector = _parted(reference)
        row = model_row.find(tx, workspace, name)
        model_id = row.model_id
        found = _find(tx, row, reference, separator, selector, at)
        version = model_version.message(tx, found)
    except ServiceError as error:
        return _fault(reference, error, name, model_id)
    response = ResolveModelsResponse()
    response.resolved.add(reference=reference, model_version=version)
    size = version.ByteSize()
    return Answer(response.SerializeToString(), size, name, model_id, found.source_model_id)


def _fault(reference: str, error: ServiceError, name: str = "", model_id: str = "") -> Answer:
    response = ResolveModelsResponse()
    response.resolved.add(reference=reference, fault=error.fault())
    return Answer(response.SerializeToString(), 0, name, model_id)


def _find(
    tx: Transaction, row: ModelRow, reference: str, separator: str, selector: str, at: int | None
) -> VersionRow:
    found: VersionRow | None
    if at is not None:
        found = model_then.find(tx, row, separator, selector, at)
        if found is None:
            raise NotFound("model version", reference)
        return found
    if separator == "@":
        check_alias("references", selector)
        version = model_alias.target(tx, row, selector)
        if not version:
            raise NotFound("alias", reference)
        return model_row.find_version(tx, row, version)
    if _NUMBER.fullmatch(selector):
        return model_row.find_version(tx, row, int(selector))
    found = _newest(tx, row, selector)
    if found is None:
        raise NotFound("model version", reference)
    return found


def _parted(reference: str) -> tuple[str, str, str]:
    match = _REFERENCE.fullmatch(reference)
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
