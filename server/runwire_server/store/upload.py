"""Uploads under way: what is durable of them, and who writes on.

The bytes lie in the blob store as *segments*, one for each call that carried some;
``uploads.state`` lists them with the sizes that were acknowledged. The last one
belongs to the call that opened the upload last. Its name is a fence: a call that
lost the upload to a newer one (its client reconnected) cannot acknowledge any more,
and it never touches the bytes that others have acknowledged. A call that ends releases
the upload, so that anybody who sends the same digest goes on from there. That such bytes
may be another sender's is kept in the list, too: they may be wrong, through no fault of his.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import sqlalchemy as sa
from runwire.v1.artifact_pb2 import Blob

from runwire_server.errors import NotFound, Overloaded
from runwire_server.store.database import Transaction
from runwire_server.store.tables import uploads

KEPT_MICROS = 24 * 3600 * 1_000_000
# An upload whose server died was not released: after so long nobody writes it any more. Who
# does writes that down at least every ``TOUCH_S``, whether or not more is durable.
IDLE_MICROS = 10 * 1_000_000
TOUCH_S = 3.0

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


class Segment(NamedTuple):
    name: str
    size_bytes: int


_NOBODY = Segment("", 0)
# Marks an upload that somebody went on with who knew its digest only.
_ADOPTED = Segment("+", 0)


@dataclass(frozen=True)
class Upload:
    """A row of ``uploads``. ``stored`` is set once it is finished."""

    upload_id: str
    workspace: str
    declared: Blob  # its digest is empty while it is not known
    segments: tuple[Segment, ...]
    committed_size: int
    stored: Blob | None
    expire_time: int

    @property
    def holder(self) -> str:
        """The name of the segment that belongs to the newest call."""
        return self.segments[-1].name

    @property
    def is_adopted(self) -> bool:
        """Whether some of its bytes may be of another sender than its holder."""
        return _ADOPTED in self.segments


def create(tx: Transaction, workspace: str, declared: Blob) -> Upload:
    """A new upload, held by the caller."""
    upload = Upload(
        upload_id=secrets.token_hex(16),
        workspace=workspace,
        declared=declared,
        segments=(_new_segment(),),
        committed_size=0,
        stored=None,
        expire_time=tx.now + KEPT_MICROS,
    )
    tx.execute(
        sa.insert(uploads).values(
            upload_id=upload.upload_id,
            workspace=workspace,
            digest=declared.digest,
            size_bytes=declared.size_bytes,
            stored_digest="",
            **_progress(upload),
        )
    )
    return upload


def get(tx: Transaction, workspace: str, upload_id: str) -> Upload:
    """Raises ``NotFound``, also for an upload that has expired or is of another workspace."""
    return _find(tx, sa.select(uploads), workspace, upload_id)


def take_over(tx: Transaction, workspace: str, upload_id: str) -> Upload:
    """The upload as it was acknowledged, held by the caller from now on. Raises ``NotFound``."""
    upload = _find(tx, tx.locked(sa.select(uploads)), workspace, upload_id)
    return upload if upload.stored is not None else _take(tx, upload)


def adopt(tx: Transaction, workspace: str, digest: str) -> Upload | None:
    """An upload of these bytes that nobody holds, as ``take_over``; the furthest of them."""
    for upload in map(_of_row, tx.execute(tx.locked(_of_digest(tx, workspace, digest)))):
        if _is_free(tx, upload):
            return _take(tx, replace(upload, segments=(*upload.segments, _ADOPTED)))
    return None


def held(tx: Transaction, workspace: str, digest: str) -> dict[str, int]:
    """The uploads of these bytes that cannot be adopted, with their ``expire_time``, which
    grows while their holder lives. One that does not will be free within ``IDLE_MICROS``."""
    found = map(_of_row, tx.execute(_of_digest(tx, workspace, digest)))
    return {one.upload_id: one.expire_time for one in found if not _is_free(tx, one)}


def _of_digest(tx: Transaction, workspace: str, digest: str) -> sa.Select[Any]:
    return (
        sa.select(uploads)
        .where(
            uploads.c.workspace == workspace,
            uploads.c.digest == digest,
            uploads.c.stored_digest == "",
            uploads.c.committed_size > 0,
            uploads.c.expire_time > tx.now,
        )
        .order_by(uploads.c.committed_size.desc(), uploads.c.upload_id)
    )


def _is_free(tx: Transaction, upload: Upload) -> bool:
    is_idle = upload.expire_time < tx.now + KEPT_MICROS - IDLE_MICROS
    return is_idle or upload.holder == _NOBODY.name


def _take(tx: Transaction, upload: Upload) -> Upload:
    mark = (_ADOPTED,) if upload.is_adopted else ()
    kept = (segment for segment in upload.segments if segment.size_bytes)
    segments = (*mark, *kept, _new_segment())
    upload = replace(upload, segments=segments, expire_time=tx.now + KEPT_MICROS)
    _update(tx, upload.upload_id, **_progress(upload))
    return upload


def acknowledge(tx: Transaction, upload: Upload, segment_size: int) -> Upload:
    """So many bytes of the holder's segment are durable. Raises ``Overloaded`` for who lost it."""
    if _held_segments(tx, upload) is None:
        raise Overloaded(what="another call took this upload over")
    segments = (*upload.segments[:-1], Segment(upload.holder, segment_size))
    upload = replace(
        upload,
        segments=segments,
        committed_size=sum(segment.size_bytes for segment in segments),
        expire_time=tx.now + KEPT_MICROS,
    )
    _update(tx, upload.upload_id, **_progress(upload))
    return upload


def release(tx: Transaction, upload: Upload) -> None:
    """The holder will not write any more. Nothing happens where it lost or ended the upload."""
    # The segments are the row's: it can be ahead of its holder, who may have missed the answer
    # to an acknowledgement that was written.
    segments = _held_segments(tx, upload)
    if segments is not None:
        _update(tx, upload.upload_id, state=_state((*segments, _NOBODY)))


def finish(tx: Transaction, upload: Upload, stored: Blob) -> None:
    """Remember what it became, for a caller that missed the answer."""
    _update(
        tx,
        upload.upload_id,
        stored_digest=stored.digest,
        size_bytes=stored.size_bytes,
        committed_size=stored.size_bytes,
    )


def discard(tx: Transaction, upload: Upload) -> bool:
    """Forget it. False, and nothing happens, where its holder lost it: it is another's now."""
    if _held_segments(tx, upload) is None:
        return False
    tx.execute(sa.delete(uploads).where(uploads.c.upload_id == upload.upload_id))
    return True


def _held_segments(tx: Transaction, upload: Upload) -> tuple[Segment, ...] | None:
    """As they are in the row, which is locked; None where the upload is finished or gone, or
    not held any more by whom it was given to."""
    query = sa.select(uploads.c.state).where(
        uploads.c.upload_id == upload.upload_id, uploads.c.stored_digest == ""
    )
    state = tx.execute(tx.locked(query)).scalar_one_or_none()
    segments = () if state is None else _segments(state)
    return segments if segments and segments[-1].name == upload.holder else None


def _new_segment() -> Segment:
    return Segment(secrets.token_hex(4), 0)


def _progress(upload: Upload) -> dict[str, Any]:
    return {
        "committed_size": upload.committed_size,
        "state": _state(upload.segments),
        "expire_time": upload.expire_time,
    }


def _state(segments: tuple[Segment, ...]) -> bytes:
    return json.dumps(segments).encode()


def _segments(state: bytes) -> tuple[Segment, ...]:
    return tuple(Segment(name, size) for name, size in json.loads(state))


def _update(tx: Transaction, upload_id: str, **values: object) -> None:
    tx.execute(sa.update(uploads).where(uploads.c.upload_id == upload_id).values(**values))


def _find(tx: Transaction, query: sa.Select[Any], workspace: str, upload_id: str) -> Upload:
    if not _UPLOAD_ID.fullmatch(upload_id):  # not one of ours, nor fit for a query
        raise NotFound("upload", upload_id)
    row = tx.execute(
        query.where(
            uploads.c.upload_id == upload_id,
            uploads.c.workspace == workspace,
            uploads.c.expire_time > tx.now,
        )
    ).one_or_none()
    if row is None:
        raise NotFound("upload", upload_id)
    return _of_row(row)


def _of_row(row: sa.Row[Any]) -> Upload:
    stored = Blob(digest=row.stored_digest, size_bytes=row.size_bytes)
    return Upload(
        upload_id=row.upload_id,
        workspace=row.workspace,
        declared=Blob(digest=row.digest, size_bytes=row.size_bytes),
        segments=_segments(row.state),
        committed_size=row.committed_size,
        stored=stored if row.stored_digest else None,
        expire_time=row.expire_time,
    )
