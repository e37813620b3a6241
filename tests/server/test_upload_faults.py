"""Uploads through faults: no crash, lost answer, late call or liar takes bytes from others."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import runwire
from runwire import _artifact_patience
from runwire.v1 import artifact_service_pb2 as pb
from runwire.v1.artifact_pb2 import Blob
from runwire.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from runwire_server import retry
from runwire_server.blobs import BlobStore, open_blobs
from runwire_server.errors import StorageUnavailable
from runwire_server.limits import LIMITS
from runwire_server.retry import ConnectionLost
from runwire_server.services import upload as upload_call
from runwire_server.store import upload as upload_rows
from runwire_server.store.database import Database, Transaction

from server.artifacts import (
    blob_of,
    digest_of,
    often_acknowledged,
    pass_by,
    serve,
    service,
    store,
    url,
)
from server.test_artifact import chunks_of, download, finishing, opening, reason, upload

__all__ = ["often_acknowledged", "service", "store", "url"]

MIB = 1 << 20


def committed_size(service: ArtifactServiceStub, upload_id: str) -> int:
    return service.GetUpload(pb.GetUploadRequest(upload_id=upload_id)).committed_size


def go_on(service: ArtifactServiceStub, upload_id: str, data: bytes) -> Blob:
    """As a client does: from where the server says that it stands."""
    rest = chunks_of(data, committed_size(service, upload_id))
    return upload(service, opening(upload_id=upload_id), *rest, finishing(data))[-1].stored.blob


def begin(service: ArtifactServiceStub, declared: Blob, sent: bytes) -> str:
    """The id of an upload that is cut after these bytes."""
    answers = service.UploadBlob(iter([opening(blob=declared), *chunks_of(sent)]))
    upload_id = next(answers).opened.upload_id
    list(answers)
    return upload_id


# Crashes ------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["upload_id", "digest"])
def test_upload_whose_blob_was_not_noted_is_gone_on_with(
    db: Database,
    url: str,
    store: BlobStore,
    service: ArtifactServiceStub,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
) -> None:
    def away(*_: object) -> None:
        raise StorageUnavailable("the database is away")

    data = os.urandom(3 * MIB)
    answers = service.UploadBlob(
        iter([opening(blob=blob_of(data)), *chunks_of(data), finishing(data)])
    )
    upload_id = next(answers).opened.upload_id
    with monkeypatch.context() as patch:
        patch.setattr(upload_rows, "finish", away)
        with pytest.raises(grpc.RpcError) as caught:
            list(answers)
    assert reason(caught) == "STORAGE_UNAVAILABLE"
    service = serve(db, open_blobs(url))
    assert committed_size(service, upload_id) == len(data)
    fields: dict[str, object] = {"upload_id": upload_id} if by == "upload_id" else {}
    (opened, stored) = upload(service, opening(blob=blob_of(data), **fields), finishing(data))
    assert opened.opened.upload_id == upload_id
    assert stored.stored.blob == blob_of(data)
    assert download(service, digest_of(data)) == data
    assert list(store.list("uploads")) == []


def one_segment(store: BlobStore, data: bytes) -> list[Any]:
    writer = store.begin_segment("u1", "a")
    writer.write(data)
    size = writer.seal()
    writer.close()
    return list(store.pieces("u1", "a", size))


def test_segment_stays_beside_the_blob_until_its_upload_is_dropped(store: BlobStore) -> None:
    data = os.urandom(MIB)
    pieces = one_segment(store, data)
    for _ in range(2):  # who died after the first time begins again
        store.assemble(pieces, "blobs/whole", take=True)
        assert set(store.list()) == {"blobs/whole", pieces[0].key}
    store.drop_upload("u1")
    assert b"".join(store.stream("blobs/whole", 0, len(data))) == data
    assert list(store.list()) == ["blobs/whole"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV])
def test_segment_is_copied_where_links_are_not_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    store, data = open_blobs(str(tmp_path / "blobs")), os.urandom(MIB)
    pieces = one_segment(store, data)
    monkeypatch.setattr(os, "link", refused)
    store.assemble(pieces, "blobs/whole", take=True)
    assert set(store.list()) == {"blobs/whole", pieces[0].key}
    store.drop_upload("u1")
    assert b"".join(store.stream("blobs/whole", 0, len(data))) == data


def test_acknowledgement_whose_answer_was_lost_is_not_undone_by_the_release(
    db: Database, service: ArtifactServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, acknowledge = db.write, upload_rows.acknowledge
    to_lose: list[int] = []

    def acknowledging(tx: Transaction, held: upload_rows.Upload, size: int) -> upload_rows.Upload:
        if size == 16 * MIB:
            to_lose.append(size)
        return acknowledge(tx, held, size)

    @contextmanager
    def losing() -> Iterator[Transaction]:
        with write() as tx:
            yield tx
        if to_lose:
            to_lose.clear()
            raise ConnectionLost("the database is away")

    data = os.urandom(20 * MIB)
    answers = service.UploadBlob(iter([opening(blob=blob_of(data)), *chunks_of(data)]))
    upload_id = next(answers).opened.upload_id
    with monkeypatch.context() as patch:
        patch.setattr(retry, "ATTEMPTS", 1)
        patch.setattr(upload_rows, "acknowledge", acknowledging)
        patch.setattr(db, "write", losing)
        with pytest.raises(grpc.RpcError) as caught:
            list(answers)
    assert reason(caught) == "STORAGE_UNAVAILABLE"
    assert committed_size(service, upload_id) == 16 * MIB
    assert go_on(service, upload_id, data) == blob_of(data)
    assert download(service, digest_of(data)) == data


# Who holds an upload ----------------------------------------------------------------


def test_upload_that_is_hashed_again_is_not_taken_by_another_sender(
    db: Database,
    url: str,
    store: BlobStore,
    service: ArtifactServiceStub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each block takes half of the time after which an upload is free."""
    data = os.urandom(24 * MIB)
    upload_id = begin(service, blob_of(data), data[: 16 * MIB])
    stream = store.stream
    others: list[pb.UploadBlobResponse] = []

    def slow(key: str, offset: int, size: int) -> Iterator[bytes]:
        for block in stream(key, offset, size):
            pass_by(db, upload_rows.IDLE_MICROS + 1_000_000)
            yield block
            if not others:
                other = serve(db, open_blobs(url))
                others.extend(upload(other, opening(blob=blob_of(data))))

    monkeypatch.setattr(upload_rows, "TOUCH_S", 0.0)
    monkeypatch.setattr(upload_call, "pause", lambda _: pass_by(db, -1))  # the holder lives
    monkeypatch.setattr(store, "stream", slow)
    assert go_on(service, upload_id, data) == blob_of(data)
    assert others[0].opened.upload_id != upload_id
    assert others[0].opened.committed_size == 0


def test_upload_whose_call_is_closed_is_free_at_once(
    db: Database,
    store: BlobStore,
    service: ArtifactServiceStub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As grpc closes the answers of a call whose client went away between two of them."""

    def never(_: float) -> None:
        raise AssertionError("nobody has to wait")

    data = os.urandom(9 * MIB)
    requests = iter([opening(blob=blob_of(data)), *chunks_of(data)])
    answers: Any = upload_call.respond(db, store, LIMITS, requests)
    upload_id = next(answers).opened.upload_id
    assert next(answers).progress.committed_size == 8 * MIB
    answers.close()
    monkeypatch.setattr(upload_call, "pause", never)
    (found, *_) = upload(service, opening(blob=blob_of(data)))
    assert found.opened.upload_id == upload_id
    assert found.opened.committed_size == 8 * MIB


def _late_finish(data: bytes) -> list[pb.UploadBlobRequest]:
    return [finishing(data[::-1])]


def _late_chunks(data: bytes) -> list[pb.UploadBlobRequest]:
    """More than was declared."""
    return list(chunks_of(data + bytes(MIB), 8 * MIB))


@pytest.mark.parametrize("late", [_late_finish, _late_chunks])
def test_call_that_lost_its_upload_cannot_discard_it(
    db: Database,
    url: str,
    service: ArtifactServiceStub,
    late: Callable[[bytes], list[pb.UploadBlobRequest]],
) -> None:
    data = os.urandom(10 * MIB)
    sent = [opening(blob=blob_of(data)), *chunks_of(data, 0, 8 * MIB), *late(data)]
    zombie = service.UploadBlob(iter(sent))
    upload_id = next(zombie).opened.upload_id
    assert next(zombie).progress.committed_size == 8 * MIB

    rest = [opening(upload_id=upload_id), *chunks_of(data, 8 * MIB), finishing(data)]
    heir = serve(db, open_blobs(url)).UploadBlob(iter(rest))
    assert next(heir).opened.committed_size == 8 * MIB
    with pytest.raises(grpc.RpcError):
        list(zombie)
    assert committed_size(service, upload_id) == 8 * MIB
    assert list(heir)[-1].stored.blob == blob_of(data)
    assert download(service, digest_of(data)) == data


# Wrong bytes ------------------------------------------------------------------------


@pytest.mark.parametrize("is_cut", [False, True])
def test_wrong_bytes_of_another_sender_make_the_next_one_begin_again(
    service: ArtifactServiceStub, store: BlobStore, is_cut: bool
) -> None:
    right, wrong = os.urandom(18 * MIB), os.urandom(8 * MIB)
    upload_id = begin(service, blob_of(right), wrong)
    (adopted, *_) = upload(service, opening(blob=blob_of(right)))
    assert adopted.opened.upload_id == upload_id
    if is_cut:  # it is no less another's after that
        upload(service, opening(upload_id=upload_id), *chunks_of(right, 8 * MIB, 17 * MIB))
    with pytest.raises(grpc.RpcError) as caught:
        go_on(service, upload_id, right)
    assert reason(caught) == "OVERLOADED"
    with pytest.raises(grpc.RpcError) as caught:
        go_on(service, upload_id, right)
    assert reason(caught) == "NOT_FOUND"
    assert list(store.list()) == []
    answers = upload(service, opening(blob=blob_of(right)), *chunks_of(right), finishing(right))
    assert answers[0].opened.committed_size == 0
    assert answers[-1].stored.blob == blob_of(right)


def test_wrong_size_of_another_sender_makes_the_next_one_begin_again(
    service: ArtifactServiceStub,
) -> None:
    data = os.urandom(10 * MIB)
    begin(service, Blob(digest=digest_of(data), size_bytes=9 * MIB), data[: 8 * MIB])
    (adopted, *_) = upload(service, opening(blob=blob_of(data)))
    with pytest.raises(grpc.RpcError) as caught:
        go_on(service, adopted.opened.upload_id, data)
    assert reason(caught) == "OVERLOADED"
    answers = upload(service, opening(blob=blob_of(data)), *chunks_of(data), finishing(data))
    assert answers[-1].stored.blob == blob_of(data)


def test_wrong_bytes_of_ones_own_are_a_digest_mismatch_after_a_cut_too(
    service: ArtifactServiceStub, store: BlobStore
) -> None:
    right, wrong = os.urandom(9 * MIB), os.urandom(9 * MIB)
    upload_id = begin(service, blob_of(right), wrong[: 8 * MIB])
    with pytest.raises(grpc.RpcError) as caught:
        go_on(service, upload_id, right)
    assert reason(caught) == "DIGEST_MISMATCH"
    assert list(store.list()) == []


def test_client_sends_all_of_it_where_another_sender_left_wrong_bytes(
    client: runwire.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_wait = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: None)
    monkeypatch.setattr(_artifact_patience, "time", no_wait)
    right, wrong = os.urandom(10 * MIB), os.urandom(8 * MIB)
    list(client.artifacts.upload_blob([opening(blob=blob_of(right)), *chunks_of(wrong)]))
    run_id = client.runs.create().run_id
    client.artifacts.put(run_id, right, "right")
    assert client.artifacts.download(digest=digest_of(right)).read() == right


@pytest.mark.parametrize("digest", ["\x00", f"sha256:{0:063x}\x00", "sha256:", "é"])
def test_digest_that_is_none_reaches_no_query(
    service: ArtifactServiceStub, monkeypatch: pytest.MonkeyPatch, digest: str
) -> None:
    """PostgreSQL takes no NUL in a text."""

    def never(*_: object) -> None:
        raise AssertionError("it was asked for")

    monkeypatch.setattr(upload_rows, "held", never)
    with pytest.raises(grpc.RpcError) as caught:
        upload(service, opening(blob=Blob(digest=digest, size_bytes=1)))
    assert reason(caught) == "FIELD_INVALID"


# Buckets that are shared ----------------------------------------------------------------


@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_multipart_uploads_of_other_programs_in_a_bare_bucket_go_on(url: str) -> None:
    bucket = url.removeprefix("s3://").split("/")[0]
    store: Any = open_blobs(f"s3://{bucket}")
    theirs = ["blobs-of-others/x", "backup/blobs/x", "x"]
    for key in ("blobs/default/x", "uploads/u/a/000000.group", *theirs):
        store._fs.call_s3("create_multipart_upload", Bucket=bucket, Key=key)
    assert store.drop_parts(4e9) == 2
    left = store._fs.call_s3("list_multipart_uploads", Bucket=bucket)["Uploads"]
    assert sorted(one["Key"] for one in left) == sorted(theirs)
