"""Bytes that nobody needs go, and no tree ever misses a blob, whenever the collector dies."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from runwire.v1 import artifact_service_pb2 as pb
from runwire.v1.artifact_pb2 import Artifact, ArtifactOwner, Blob
from runwire.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from runwire_server import gc_blobs
from runwire_server.blobs import BlobStore, open_blobs, s3
from runwire_server.gc_blobs import Collected
from runwire_server.store import blob_purge, small_blob
from runwire_server.store.database import Database
from runwire_server.store.tables import blobs, uploads

from server.artifacts import add_run, blob_of, service, store, url
from server.test_artifact import chunks_of, download, finishing, opening, put, upload

__all__ = ["service", "store", "url"]

LARGE = small_blob.MAX_BYTES + 1


def expire(db: Database) -> None:
    """Every lease has passed, and every upload."""
    with db.write() as tx:
        tx.execute(sa.update(blobs).values(lease_time=1))
        tx.execute(sa.update(uploads).values(expire_time=1))


def commit(service: ArtifactServiceStub, run_id: str, stored: Blob) -> None:
    owner = ArtifactOwner(run_id=run_id)
    named = [Artifact(path="a", blob=stored)]
    service.CommitArtifacts(iter([pb.CommitArtifactsRequest(owner=owner, artifacts=named)]))


def missing(service: ArtifactServiceStub, *asked: Blob) -> list[Blob]:
    return list(service.FindMissingBlobs(pb.FindMissingBlobsRequest(blobs=asked)).missing)


def test_what_no_tree_holds_goes_once_its_lease_has_passed(
    db: Database, store: BlobStore, service: ArtifactServiceStub
) -> None:
    held, small, large = os.urandom(LARGE), b"small", os.urandom(LARGE)
    commit(service, add_run(db), put(service, held))
    for data in (small, large):
        put(service, data)
    assert gc_blobs.collect(db, store) == Collected()
    expire(db)
    put(service, b"leased")
    told: list[int] = []
    expected = Collected(blobs=2, size_bytes=LARGE + len(small))
    found = gc_blobs.collect(
        db, store, dry_run=True, on_progress=lambda one: told.append(one.blobs)
    )
    assert found == expected
    assert told[0] == 2
    assert len(list(store.list())) == 2
    assert gc_blobs.collect(db, store) == expected
    assert len(list(store.list())) == 1
    assert download(service, blob_of(held).digest) == held
    assert missing(service, blob_of(small), blob_of(large), blob_of(b"leased")) == [
        blob_of(small),
        blob_of(large),
    ]


def test_blob_of_one_workspace_goes_though_another_holds_the_same_bytes(
    db: Database, store: BlobStore, service: ArtifactServiceStub
) -> None:
    data = os.urandom(LARGE)
    commit(service, add_run(db), put(service, data))
    put(service, data, "other")
    expire(db)
    assert gc_blobs.collect(db, store).blobs == 1
    assert download(service, blob_of(data).digest) == data


def test_expired_uploads_go_with_their_bytes_and_others_stay(
    db: Database, store: BlobStore, service: ArtifactServiceStub
) -> None:
    data = os.urandom(9 << 20)
    upload(service, opening(), *chunks_of(data))
    expire(db)
    kept = upload(service, opening(), *chunks_of(data))[0].opened.upload_id
    assert gc_blobs.collect(db, store) == Collected(uploads=1)
    assert {key.split("/")[1] for key in store.list("uploads")} == {kept}
    answers = upload(
        service, opening(upload_id=kept), *chunks_of(data, answers_from(service, kept)),
        finishing(data),
    )  # fmt: skip
    assert answers[-1].stored.blob == blob_of(data)


def answers_from(service: ArtifactServiceStub, upload_id: str) -> int:
    return service.GetUpload(pb.GetUploadRequest(upload_id=upload_id)).committed_size


def _again_through_batch(service: ArtifactServiceStub, data: bytes) -> Blob:
    return put(service, data)


def _again_through_upload(service: ArtifactServiceStub, data: bytes) -> Blob:
    return upload(service, opening(), *chunks_of(data), finishing(data))[-1].stored.blob


def _again_without_bytes(service: ArtifactServiceStub, data: bytes) -> Blob:
    if missing(service, blob_of(data)):
        put(service, data)
    return blob_of(data)


@pytest.mark.parametrize("size", [7, LARGE])
@pytest.mark.parametrize(
    "send", [_again_through_batch, _again_through_upload, _again_without_bytes]
)
@pytest.mark.parametrize("step", ["found", "removed"])
def test_same_bytes_sent_between_the_steps_of_a_collector_stay(
    db: Database,
    store: BlobStore,
    service: ArtifactServiceStub,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    send: Callable[[ArtifactServiceStub, bytes], Blob],
    size: int,
) -> None:
    """``found``: after it was marked; ``removed``: after its row went, before its bytes do."""
    data, run_id = os.urandom(size), add_run(db)
    put(service, data)
    expire(db)
    sent = threading.Event()
    spare, delete = blob_purge.spare, store.delete

    def stopping(tx: Any, *arguments: Any) -> Any:
        found = spare(tx, *arguments)
        if found and not sent.is_set():
            sent.set()
            commit(service, run_id, send(service, data))
        return found

    def deleting(key: str) -> None:
        if not sent.is_set():
            sent.set()
            commit(service, run_id, send(service, data))
        delete(key)

    with monkeypatch.context() as patch:
        if step == "found":
            patch.setattr(blob_purge, "spare", stopping)
        else:
            patch.setattr(store, "delete", deleting)
        gc_blobs.collect(db, store)
    assert sent.is_set()
    assert download(service, blob_of(data).digest) == data
    expire(db)
    gc_blobs.collect(db, store)
    assert download(service, blob_of(data).digest) == data


def test_uploads_of_the_same_bytes_beside_collectors_never_lose_them(
    db: Database, url: str, service: ArtifactServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every lease is expired again and again, which is worse than any clock can be."""
    # The S3 of the tests says that all multipart uploads were begun in 2010.
    monkeypatch.setattr(s3.S3Store, "drop_parts", lambda self, before: 0)
    sent = {number: os.urandom(LARGE if number else 7) for number in range(2)}
    senders = (_again_through_batch, _again_through_upload, _again_without_bytes)
    failures: list[BaseException] = []
    done = threading.Event()

    def send(number: int) -> None:
        try:
            for turn in range(8):
                run_id, data = add_run(db), sent[(number + turn) % 2]
                if committed(run_id, senders[number], data):
                    assert download(service, blob_of(data).digest) == data
                    delete(run_id)
        except BaseException as error:
            failures.append(error)

    def committed(run_id: str, how: Callable[..., Blob], data: bytes) -> bool:
        try:
            commit(service, run_id, how(service, data))
        except grpc.RpcError as error:  # collected before it was named: told so, nothing lost
            if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
                raise
            return False
        return True

    def delete(run_id: str) -> None:
        owner = ArtifactOwner(run_id=run_id)
        service.DeleteArtifacts(pb.DeleteArtifactsRequest(owner=owner, paths=["a"]))

    def collect() -> None:
        try:
            while not done.is_set():
                with db.write() as tx:
                    tx.execute(sa.update(blobs).values(lease_time=1))
                gc_blobs.collect(db, open_blobs(url))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(3)]
    collector = threading.Thread(target=collect)
    for thread in (*threads, collector):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    collector.join()
    assert failures == []


class Killed(BaseException):
    pass


@pytest.mark.parametrize("dies_at", range(6))
def test_collector_killed_at_any_step_leaves_no_tree_with_a_missing_blob(
    db: Database,
    url: str,
    store: BlobStore,
    service: ArtifactServiceStub,
    monkeypatch: pytest.MonkeyPatch,
    dies_at: int,
) -> None:
    held = os.urandom(LARGE)
    commit(service, add_run(db), put(service, held))
    for _ in range(3):
        put(service, os.urandom(LARGE))
    upload(service, opening(), *chunks_of(held))
    expire(db)
    steps = iter(range(100))

    def mortal(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            if next(steps) == dies_at:
                raise Killed
            return call(*arguments)

        return called

    with monkeypatch.context() as patch:
        patch.setattr(blob_purge, "remove", mortal(blob_purge.remove))
        patch.setattr(blob_purge, "remove_upload", mortal(blob_purge.remove_upload))
        patch.setattr(store, "delete", mortal(store.delete))
        patch.setattr(store, "drop_upload", mortal(store.drop_upload))
        with pytest.raises(Killed):
            gc_blobs.collect(db, store)
    with db.read() as tx:
        stored = tx.execute(sa.select(blobs.c.digest)).scalars().all()
    for digest in stored:
        assert len(download(service, digest)) == LARGE
    assert download(service, blob_of(held).digest) == held
    monkeypatch.setattr(gc_blobs, "ORPHAN_AGE_S", -60.0)  # all that has no row is old enough
    gc_blobs.collect(db, open_blobs(url))
    assert len(list(store.list())) == 1


def test_orphans_go_when_they_are_old_and_only_from_the_store_of_this_database(
    db: Database,
    store: BlobStore,
    service: ArtifactServiceStub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.put("blobs/default/sha256/ab/" + "c" * 62 + ".0123", b"without a row")
    store.put("uploads/" + "f" * 32 + "/seg/000000", b"without a row")
    assert gc_blobs.collect(db, store) == Collected()
    monkeypatch.setattr(gc_blobs, "ORPHAN_AGE_S", -60.0)
    assert gc_blobs.collect(db, store) == Collected()  # nothing shows that the store is ours
    put(service, os.urandom(LARGE))
    assert gc_blobs.collect(db, store) == Collected(orphans=2, size_bytes=26)
    assert len(list(store.list())) == 1


def test_abandoned_multipart_uploads_of_s3_are_ended(
    db: Database, store: BlobStore, service: ArtifactServiceStub, url: str
) -> None:
    if not url.startswith("s3"):
        pytest.skip("a folder has no multipart uploads")
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    fs: Any = store._fs  # type: ignore[attr-defined]
    fs.call_s3("create_multipart_upload", Bucket=bucket, Key=f"{prefix}/blobs/x")
    fs.call_s3("create_multipart_upload", Bucket=bucket, Key="not-ours")
    assert store.drop_parts(0.0) == 0
    assert store.drop_parts(4e9) == 1
    left = fs.call_s3("list_multipart_uploads", Bucket=bucket)["Uploads"]
    assert [one["Key"] for one in left] == ["not-ours"]
