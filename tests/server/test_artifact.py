"""Artifacts as the server sees them: restarts, takeovers, isolation, what is left on disk."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from google.rpc import error_details_pb2, status_pb2
from runwire.v1 import artifact_service_pb2 as pb
from runwire.v1.artifact_pb2 import Artifact, ArtifactOwner, Blob, Chunk, ModelVersionKey
from runwire.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from runwire.v1.registry_service_pb2 import CreateModelVersionRequest
from runwire_server.blobs import open_blobs
from runwire_server.limits import LIMITS
from runwire_server.services import upload as upload_call
from runwire_server.services.artifact_batch import MAX_PUT_ITEMS
from runwire_server.store import blob, model_version, small_blob
from runwire_server.store import upload as upload_rows
from runwire_server.store.artifact import MAX_DELETE_PATHS
from runwire_server.store.database import Database
from runwire_server.store.tables import blobs, runs, small_blobs, uploads

from .artifacts import (
    add_run,
    blob_of,
    digest_of,
    often_acknowledged,
    pass_by,
    serve,
    service,
    store,
    url,
)

__all__ = ["often_acknowledged", "service", "store", "url"]

MIB = 1 << 20


@pytest.fixture
def run_id(db: Database) -> str:
    return add_run(db)


def opening(**fields: object) -> pb.UploadBlobRequest:
    return pb.UploadBlobRequest(open=pb.UploadBlobRequest.Open(**fields))  # type: ignore[arg-type]


def chunks_of(
    data: bytes, start: int = 0, end: int | None = None
) -> Iterator[pb.UploadBlobRequest]:
    for offset in range(start, len(data) if end is None else end, MIB):
        part = data[offset : offset + MIB]
        yield pb.UploadBlobRequest(chunk=Chunk(offset=offset, plain_size=len(part), data=part))


def finishing(data: bytes) -> pb.UploadBlobRequest:
    return pb.UploadBlobRequest(finish=pb.UploadBlobRequest.Finish(blob=blob_of(data)))


def upload(
    service: ArtifactServiceStub, *requests: pb.UploadBlobRequest
) -> list[pb.UploadBlobResponse]:
    return list(service.UploadBlob(iter(requests)))


def put(service: ArtifactServiceStub, data: bytes, workspace: str = "") -> Blob:
    item = pb.BatchPutBlobsRequest.Item(blob=blob_of(data), data=data)
    answer = service.BatchPutBlobs(pb.BatchPutBlobsRequest(workspace=workspace, items=[item]))
    assert not answer.results[0].HasField("fault")
    return blob_of(data)


def download(service: ArtifactServiceStub, digest: str, workspace: str = "") -> bytes:
    request = pb.DownloadArtifactRequest(blob=Blob(digest=digest), workspace=workspace)
    return b"".join(answer.chunk.data for answer in service.DownloadArtifact(request))


def reason(error: pytest.ExceptionInfo[grpc.RpcError]) -> str:
    status = status_pb2.Status()
    trailers: dict[str, Any] = dict(error.value.trailing_metadata())  # type: ignore[arg-type]
    status.ParseFromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return str(info.reason)


# Uploads ----------------------------------------------------------------------


def test_upload_resumes_at_the_acknowledged_byte_after_a_restart(
    db: Database, url: str, service: ArtifactServiceStub
) -> None:
    data = os.urandom(24 * MIB + 3)
    first = service.UploadBlob(iter([opening(blob=blob_of(data)), *chunks_of(data, 0, 17 * MIB)]))
    opened = next(first).opened
    acknowledged = next(first).progress.committed_size
    first.cancel()
    del first
    assert opened.chunk_bytes == LIMITS.blob_chunk_bytes
    assert acknowledged == 8 * MIB

    service = serve(db, open_blobs(url))
    known = service.GetUpload(pb.GetUploadRequest(upload_id=opened.upload_id))
    assert known.committed_size == acknowledged
    answers = upload(
        service,
        opening(upload_id=opened.upload_id),
        *chunks_of(data, acknowledged),
        finishing(data),
    )
    assert answers[0].opened.committed_size == acknowledged
    assert answers[-1].stored == pb.UploadBlobResponse.Stored(blob=blob_of(data))
    assert download(service, digest_of(data)) == data
    known = service.GetUpload(pb.GetUploadRequest(upload_id=opened.upload_id))
    assert known.stored == blob_of(data)
    assert len(list(open_blobs(url).list())) == 1


def test_half_closed_upload_goes_on_where_it_stood(
    db: Database, url: str, service: ArtifactServiceStub
) -> None:
    data = os.urandom(9 * MIB)
    answers = upload(service, opening(), *chunks_of(data, 0, 3 * MIB))
    upload_id, acknowledged = answers[0].opened.upload_id, answers[-1].progress.committed_size
    service = serve(db, open_blobs(url))
    again = upload(service, opening(upload_id=upload_id))
    assert again[0].opened.committed_size == acknowledged
    answers = upload(
        service, opening(upload_id=upload_id), *chunks_of(data, acknowledged), finishing(data)
    )
    assert answers[-1].stored.blob == blob_of(data)
    assert download(service, digest_of(data)) == data


def test_all_bytes_acknowledged_then_only_finish_is_missing(
    service: ArtifactServiceStub, url: str
) -> None:
    data = os.urandom(8 * MIB)
    answers = upload(service, opening(blob=blob_of(data)), *chunks_of(data))
    upload_id = answers[0].opened.upload_id
    assert answers[-1].progress.committed_size == len(data)
    answers = upload(service, opening(upload_id=upload_id), finishing(data))
    assert answers[-1].stored.blob == blob_of(data)
    assert download(service, digest_of(data)) == data
    assert len(list(open_blobs(url).list())) == 1


def test_call_that_lost_its_upload_can_neither_acknowledge_nor_spoil_it(
    db: Database, url: str, service: ArtifactServiceStub
) -> None:
    data, other = os.urandom(32 * MIB), os.urandom(32 * MIB)

    def zombie_sends() -> Iterator[pb.UploadBlobRequest]:
        yield opening()
        yield from chunks_of(data, 0, 8 * MIB)
        yield from chunks_of(other, 8 * MIB)  # some of it after it lost the upload

    zombie = service.UploadBlob(zombie_sends())
    upload_id = next(zombie).opened.upload_id
    assert next(zombie).progress.committed_size == 8 * MIB

    heir = serve(db, open_blobs(url))
    answers = heir.UploadBlob(
        iter([opening(upload_id=upload_id), *chunks_of(data, 8 * MIB), finishing(data)])
    )
    assert next(answers).opened.committed_size == 8 * MIB
    with pytest.raises(grpc.RpcError) as caught:
        next(zombie)
    assert reason(caught) == "OVERLOADED"
    assert list(answers)[-1].stored.blob == blob_of(data)
    assert download(heir, digest_of(data)) == data


def test_cut_upload_is_gone_on_with_by_whoever_sends_the_same_bytes(
    service: ArtifactServiceStub,
) -> None:
    data = os.urandom(18 * MIB)

    def cut() -> Iterator[pb.UploadBlobRequest]:
        yield opening(blob=blob_of(data))
        yield from chunks_of(data, 0, 17 * MIB)
        raise grpc.RpcError  # as grpc's request iterator does when the client dies

    dying = service.UploadBlob(cut())
    upload_id = next(dying).opened.upload_id
    with pytest.raises(grpc.RpcError):
        list(dying)
    (found, *_) = upload(service, opening(blob=blob_of(data)))
    assert found.opened.upload_id == upload_id
    assert found.opened.committed_size in (8 * MIB, 16 * MIB)


def test_upload_under_way_is_not_taken_by_another_sender_of_the_same_bytes(
    db: Database, service: ArtifactServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(32 * MIB)
    alive = service.UploadBlob(iter([opening(blob=blob_of(data)), *chunks_of(data)]))
    upload_id = next(alive).opened.upload_id
    assert next(alive).progress.committed_size == 8 * MIB
    looks = itertools.count()

    def live(_: float) -> None:
        """All the time it writes down that it does."""
        pass_by(db, -1)
        assert next(looks) <= upload_call.DYING_LOOKS

    monkeypatch.setattr(upload_call, "pause", live)
    (other, *_) = upload(service, opening(blob=blob_of(data)))
    assert other.opened.upload_id != upload_id
    assert other.opened.committed_size == 0
    assert list(alive)[-1].progress.committed_size == len(data)


def test_upload_of_a_dying_client_is_waited_for_and_gone_on_with(
    service: ArtifactServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had come before it died is still acknowledged, which is no sign of life."""
    data = os.urandom(18 * MIB)
    dying = service.UploadBlob(iter([opening(blob=blob_of(data)), *chunks_of(data)]))
    upload_id = next(dying).opened.upload_id
    assert next(dying).progress.committed_size == 8 * MIB
    acknowledged = [8 * MIB]

    def die(_: float) -> None:
        answer = next(dying, None)
        if answer is not None:
            acknowledged.append(answer.progress.committed_size)

    monkeypatch.setattr(upload_call, "pause", die)
    (heir, *_) = upload(service, opening(blob=blob_of(data)))
    assert len(acknowledged) > 1
    assert heir.opened.upload_id == upload_id
    assert heir.opened.committed_size == acknowledged[-1]


def test_upload_of_a_dead_server_is_waited_for_and_gone_on_with(
    db: Database, service: ArtifactServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(18 * MIB)
    dead = service.UploadBlob(iter([opening(blob=blob_of(data)), *chunks_of(data)]))
    upload_id = next(dead).opened.upload_id
    assert next(dead).progress.committed_size == 8 * MIB

    monkeypatch.setattr(upload_call, "pause", lambda _: pass_by(db, upload_rows.IDLE_MICROS))
    (heir, *_) = upload(service, opening(blob=blob_of(data)))
    assert heir.opened.upload_id == upload_id
    assert heir.opened.committed_size == 8 * MIB


def test_lying_digest_discards_the_upload(
    db: Database, url: str, service: ArtifactServiceStub
) -> None:
    data, lie = os.urandom(9 * MIB), os.urandom(9 * MIB)
    with pytest.raises(grpc.RpcError) as caught:
        upload(service, opening(), *chunks_of(data), finishing(lie))
    assert reason(caught) == "DIGEST_MISMATCH"
    assert list(open_blobs(url).list()) == []
    with db.read() as tx:
        assert tx.execute(sa.select(sa.func.count()).select_from(uploads)).scalar() == 0
        assert tx.execute(sa.select(sa.func.count()).select_from(blobs)).scalar() == 0


def test_bytes_beyond_the_declared_size_end_the_upload(
    url: str, service: ArtifactServiceStub
) -> None:
    data = os.urandom(2 * MIB)
    declared = Blob(digest=digest_of(data), size_bytes=MIB)
    with pytest.raises(grpc.RpcError) as caught:
        upload(service, opening(blob=declared), *chunks_of(data), finishing(data))
    assert reason(caught) == "FIELD_INVALID"
    assert list(open_blobs(url).list()) == []


def test_upload_that_another_call_completed_is_told_so_at_once(
    service: ArtifactServiceStub, url: str
) -> None:
    data = os.urandom(MIB)
    upload_id = upload(service, opening(blob=blob_of(data)))[0].opened.upload_id
    put(service, data)
    for fields in ({"upload_id": upload_id}, {"blob": blob_of(data)}):
        answers = upload(service, opening(**fields))
        assert [answer.stored.existed for answer in answers] == [True]
    assert len(list(open_blobs(url).list())) == 1


def test_upload_belongs_to_its_workspace(service: ArtifactServiceStub) -> None:
    upload_id = upload(service, opening(workspace="one"))[0].opened.upload_id
    with pytest.raises(grpc.RpcError) as caught:
        upload(service, opening(workspace="two", upload_id=upload_id))
    assert reason(caught) == "NOT_FOUND"


@pytest.mark.parametrize("upload_id", ["\x00", "../..", "é" * 10_000, f"{0:032x}", f"{0:032X}\n"])
def test_upload_that_never_was_is_not_found(service: ArtifactServiceStub, upload_id: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        service.GetUpload(pb.GetUploadRequest(upload_id=upload_id))
    assert reason(caught) == "NOT_FOUND"
    with pytest.raises(grpc.RpcError) as caught:
        upload(service, opening(upload_id=upload_id))
    assert reason(caught) == "NOT_FOUND"


def test_expired_upload_is_not_found(db: Database, service: ArtifactServiceStub) -> None:
    upload_id = upload(service, opening())[0].opened.upload_id
    with db.write() as tx:
        tx.execute(sa.update(uploads).values(expire_time=tx.now))
    with pytest.raises(grpc.RpcError) as caught:
        service.GetUpload(pb.GetUploadRequest(upload_id=upload_id))
    assert reason(caught) == "NOT_FOUND"


# Blobs ------------------------------------------------------------------------


def test_blobs_of_another_workspace_can_be_neither_found_nor_read(
    service: ArtifactServiceStub,
) -> None:
    secret = put(service, b"secret", "one")
    asked = pb.FindMissingBlobsRequest(workspace="two", blobs=[secret])
    assert list(service.FindMissingBlobs(asked).missing) == [secret]
    with pytest.raises(grpc.RpcError) as caught:
        download(service, secret.digest, "two")
    assert reason(caught) == "NOT_FOUND"
    assert download(service, secret.digest, "one") == b"secret"


def test_blob_of_another_workspace_cannot_be_claimed(
    service: ArtifactServiceStub, run_id: str
) -> None:
    """A run of "default" names bytes that only "one" has: neither by commit nor by upload."""
    secret = put(service, bytes(small_blob.MAX_BYTES + 1), "one")
    named = [Artifact(path="mine", blob=secret)]
    owner = ArtifactOwner(run_id=run_id)
    with pytest.raises(grpc.RpcError) as caught:
        service.CommitArtifacts(iter([pb.CommitArtifactsRequest(owner=owner, artifacts=named)]))
    assert reason(caught) == "BLOBS_MISSING"
    (answer,) = upload(service, opening(blob=secret))[:1]
    assert answer.HasField("opened")  # the bytes are asked for, not taken on trust


def test_same_bytes_are_stored_once_in_a_workspace(service: ArtifactServiceStub, url: str) -> None:
    same = bytes(small_blob.MAX_BYTES + 1)
    for _ in range(3):
        put(service, same)
        upload(service, opening(), *chunks_of(same), finishing(same))
    put(service, same, "other")
    assert len(list(open_blobs(url).list())) == 2


def test_small_blobs_of_a_batch_are_rows_and_read_as_any_other(
    db: Database, service: ArtifactServiceStub, url: str
) -> None:
    for data in (b"", b"x", os.urandom(small_blob.MAX_BYTES)):
        for _ in range(2):
            put(service, data)
        assert download(service, digest_of(data)) == data
    part = pb.DownloadArtifactRequest(blob=blob_of(data), offset=7, limit=9)
    (answer,) = service.DownloadArtifact(part)
    assert (answer.chunk.offset, answer.chunk.data) == (7, data[7:16])
    assert list(open_blobs(url).list()) == []
    with db.read() as tx:
        assert tx.execute(sa.select(sa.func.count()).select_from(small_blobs)).scalar() == 3


def test_asking_for_a_blob_renews_its_lease(db: Database, service: ArtifactServiceStub) -> None:
    stored = put(service, b"x")
    with db.write() as tx:
        tx.execute(sa.update(blobs).values(lease_time=1))
    service.FindMissingBlobs(pb.FindMissingBlobsRequest(blobs=[stored]))
    with db.read() as tx:
        lease_time = tx.execute(sa.select(blobs.c.lease_time)).scalar_one()
        assert lease_time > tx.now + blob.LEASE_MICROS - 60_000_000


def test_store_that_fails_acknowledges_nothing(db: Database, tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file where a folder should be")
    service = serve(db, open_blobs(str(tmp_path / "blobs")))
    data = bytes(small_blob.MAX_BYTES + 1)
    item = pb.BatchPutBlobsRequest.Item(blob=blob_of(data), data=data)
    for call in (
        lambda: service.BatchPutBlobs(pb.BatchPutBlobsRequest(items=[item])),
        lambda: upload(service, opening(), *chunks_of(data), finishing(data)),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert reason(caught) == "STORAGE_UNAVAILABLE"
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    with db.read() as tx:
        assert tx.execute(sa.select(sa.func.count()).select_from(blobs)).scalar() == 0


# Trees --------------------------------------------------------------------------


def test_calls_take_so_many_items_that_the_answer_fits(
    service: ArtifactServiceStub, run_id: str
) -> None:
    most = pb.BatchPutBlobsRequest(items=[pb.BatchPutBlobsRequest.Item()] * MAX_PUT_ITEMS)
    assert service.BatchPutBlobs(most).ByteSize() < LIMITS.max_message_bytes
    most.items.add()
    with pytest.raises(grpc.RpcError) as caught:
        service.BatchPutBlobs(most)
    assert reason(caught) == "FIELD_INVALID"
    paths = [str(number) for number in range(MAX_DELETE_PATHS + 1)]
    with pytest.raises(grpc.RpcError) as caught:
        service.DeleteArtifacts(
            pb.DeleteArtifactsRequest(owner=ArtifactOwner(run_id=run_id), paths=paths)
        )
    assert reason(caught) == "FIELD_INVALID"


def test_run_in_the_trash_is_read_but_not_written(
    db: Database, service: ArtifactServiceStub, run_id: str
) -> None:
    stored = put(service, b"x")
    owner = ArtifactOwner(run_id=run_id)
    request = pb.CommitArtifactsRequest(owner=owner, artifacts=[Artifact(path="x", blob=stored)])
    service.CommitArtifacts(iter([request]))
    with db.write() as tx:
        tx.execute(sa.update(runs).values(delete_time=tx.now))
    assert len(service.ListArtifacts(pb.ListArtifactsRequest(owner=owner)).artifacts) == 1
    with pytest.raises(grpc.RpcError) as caught:
        service.CommitArtifacts(iter([request]))
    assert reason(caught) == "DELETED"


def test_tree_of_a_version_is_sealed(db: Database, service: ArtifactServiceStub) -> None:
    draft = CreateModelVersionRequest(model="m", source_uri="s3://b/k", create_model=True)
    with db.write() as tx:
        model_version.create(tx, draft)
    owner = ArtifactOwner(model_version=ModelVersionKey(model="m", version=1))
    commit = pb.CommitArtifactsRequest(owner=owner)
    for call in (
        lambda: service.CommitArtifacts(iter([commit])),
        lambda: service.DeleteArtifacts(pb.DeleteArtifactsRequest(owner=owner, paths=["a"])),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert reason(caught) == "TREE_SEALED"
