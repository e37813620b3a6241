"""What is promised of an upload, message by message."""

from __future__ import annotations

import gzip
import os
import queue
import threading
from collections.abc import Iterator

import pytest
import runwire
from runwire.v1.artifact_pb2 import CODEC_GZIP, Blob, Chunk
from runwire.v1.artifact_service_pb2 import UploadBlobRequest, UploadBlobResponse

from .blobs import MIB, blob_of, stored


def opening(blob: Blob | None = None, upload_id: str = "") -> UploadBlobRequest:
    return UploadBlobRequest(open=UploadBlobRequest.Open(blob=blob, upload_id=upload_id))


def chunk(data: bytes, offset: int, **fields: int) -> UploadBlobRequest:
    made = Chunk(offset=offset, plain_size=len(data), data=data, **fields)  # type: ignore[arg-type]
    return UploadBlobRequest(chunk=made)


def chunks(data: bytes, start: int = 0, end: int | None = None) -> Iterator[UploadBlobRequest]:
    end = len(data) if end is None else end
    for offset in range(start, end, MIB):
        yield chunk(data[offset : min(end, offset + MIB)], offset)


def finishing(blob: Blob | None) -> UploadBlobRequest:
    return UploadBlobRequest(finish=UploadBlobRequest.Finish(blob=blob))


def upload(client: runwire.Client, *requests: UploadBlobRequest) -> list[UploadBlobResponse]:
    return list(client.artifacts.upload_blob(requests))


def test_upload_stores_the_servers_own_digest(client: runwire.Client) -> None:
    data = os.urandom(20 * MIB + 1)
    answers = upload(client, opening(blob_of(data)), *chunks(data), finishing(blob_of(data)))
    assert answers[0].opened.committed_size == 0
    assert answers[-1].stored == UploadBlobResponse.Stored(blob=blob_of(data))
    assert client.artifacts.download(digest=blob_of(data).digest).read() == data


def test_upload_is_acknowledged_while_it_goes_on(client: runwire.Client) -> None:
    sent = acknowledged = 0
    told = threading.Event()

    def requests() -> Iterator[UploadBlobRequest]:
        nonlocal sent
        yield opening()
        while not told.is_set() and sent < 64 * MIB:
            sent += MIB
            yield chunk(bytes(MIB), sent - MIB)
        assert told.wait(120)
        yield finishing(None)

    for answer in client.artifacts.upload_blob(requests()):
        if answer.HasField("progress"):
            assert acknowledged <= answer.progress.committed_size <= sent
            acknowledged = answer.progress.committed_size
            told.set()
    assert acknowledged
    assert answer.stored.blob.size_bytes == sent


def test_upload_without_a_known_digest_is_hashed_by_the_server(client: runwire.Client) -> None:
    answers = upload(client, opening(), chunk(b"abc", 0), finishing(None))
    assert answers[-1].stored.blob == blob_of(b"abc")


def test_empty_upload_is_an_empty_blob(client: runwire.Client) -> None:
    assert upload(client, opening(), finishing(blob_of(b"")))[-1].stored.blob == blob_of(b"")
    assert client.artifacts.download(digest=blob_of(b"").digest).read() == b""


def test_upload_resumes_at_the_acknowledged_byte(client: runwire.Client) -> None:
    data = os.urandom(24 * MIB)
    stream = client.artifacts.upload_blob([opening(), *chunks(data, 0, 17 * MIB)])
    upload_id = next(stream).opened.upload_id
    acknowledged = next(stream).progress.committed_size
    stream.close()
    assert 0 < acknowledged <= 17 * MIB

    known = client.artifacts.get_upload(upload_id).committed_size
    assert known >= acknowledged
    begin_at: queue.SimpleQueue[int] = queue.SimpleQueue()

    def rest() -> Iterator[UploadBlobRequest]:
        yield opening(upload_id=upload_id)
        yield from chunks(data, begin_at.get(timeout=120))
        yield finishing(blob_of(data))

    resumed = client.artifacts.upload_blob(rest())
    committed = next(resumed).opened.committed_size
    assert committed >= known  # the stream before may have come further until it was taken over
    begin_at.put(committed)
    assert list(resumed)[-1].stored.blob == blob_of(data)
    assert client.artifacts.download(digest=blob_of(data).digest).read() == data
    assert client.artifacts.get_upload(upload_id).stored == blob_of(data)


def test_another_client_goes_on_with_what_a_dead_one_left(client: runwire.Client) -> None:
    data = os.urandom(9 * MIB)
    left = upload(client, opening(blob_of(data)), *chunks(data, 0, 8 * MIB))
    found = upload(client, opening(blob_of(data)))
    assert found[0].opened.upload_id == left[0].opened.upload_id
    assert found[0].opened.committed_size == left[-1].progress.committed_size == 8 * MIB


def test_repeated_finish_finds_the_blob_stored(client: runwire.Client) -> None:
    answers = upload(client, opening(), chunk(b"abc", 0), finishing(blob_of(b"abc")))
    again = upload(client, opening(upload_id=answers[0].opened.upload_id))
    assert again[0].stored == UploadBlobResponse.Stored(blob=blob_of(b"abc"), existed=True)


def test_bytes_that_are_there_already_need_not_be_sent(client: runwire.Client) -> None:
    blob = stored(client, b"there")
    (answer,) = upload(client, opening(blob))
    assert answer.stored == UploadBlobResponse.Stored(blob=blob, existed=True)


def test_corrupt_chunk_is_refused_and_the_upload_goes_on(client: runwire.Client) -> None:
    answers = client.artifacts.upload_blob([opening(), chunk(b"damaged", 0, crc32c=1)])
    upload_id = next(answers).opened.upload_id
    with pytest.raises(runwire.InvalidArgumentError) as caught:
        next(answers)
    assert caught.value.reason == "CHECKSUM_MISMATCH"
    assert caught.value.metadata["offset"] == "0"
    retried = upload(
        client, opening(upload_id=upload_id), chunk(b"whole", 0), finishing(blob_of(b"whole"))
    )
    assert retried[-1].stored.blob == blob_of(b"whole")


def test_gap_between_chunks_tells_where_to_go_on(client: runwire.Client) -> None:
    with pytest.raises(runwire.OutOfRangeError) as caught:
        upload(client, opening(), chunk(b"abc", 0), chunk(b"def", 4))
    assert caught.value.reason == "OFFSET_GAP"
    assert caught.value.metadata == {"offset": "4", "committed_size": "0"}


def test_lying_digest_discards_the_upload(client: runwire.Client) -> None:
    lie = Blob(digest=blob_of(b"other").digest, size_bytes=3)
    for declared, finished in ((None, lie), (lie, blob_of(b"abc"))):
        answers = client.artifacts.upload_blob(
            [opening(declared), chunk(b"abc", 0), finishing(finished)]
        )
        upload_id = next(answers).opened.upload_id
        with pytest.raises(runwire.InvalidArgumentError) as caught:
            list(answers)
        assert caught.value.reason == "DIGEST_MISMATCH"
        with pytest.raises(runwire.NotFoundError):
            client.artifacts.get_upload(upload_id)
    assert list(client.artifacts.find_missing_blobs([blob_of(b"abc"), lie])) == [
        blob_of(b"abc"),
        lie,
    ]


@pytest.mark.parametrize("size", [2, 4, 0])
def test_lying_size_discards_the_upload(client: runwire.Client, size: int) -> None:
    lie = Blob(digest=blob_of(b"abc").digest, size_bytes=size)
    for declared, finished in ((None, lie), (lie, blob_of(b"abc"))):
        with pytest.raises(runwire.InvalidArgumentError) as caught:
            upload(client, opening(declared), chunk(b"abc", 0), finishing(finished))
        assert caught.value.reason == "FIELD_INVALID"
    assert len(client.artifacts.find_missing_blobs([blob_of(b"abc")])) == 1


def test_blob_over_the_limit_is_too_large(client: runwire.Client) -> None:
    declared = Blob(digest=blob_of(b"").digest, size_bytes=1 << 60)
    with pytest.raises(runwire.ResourceExhaustedError) as caught:
        upload(client, opening(declared))
    assert caught.value.reason == "TOO_LARGE"


def test_packed_chunks_are_unpacked_and_bombs_refused(client: runwire.Client) -> None:
    data = b"x" * 100_000
    packed = Chunk(data=gzip.compress(data), codec=CODEC_GZIP, plain_size=len(data))
    answers = upload(client, opening(), UploadBlobRequest(chunk=packed), finishing(blob_of(data)))
    assert answers[-1].stored.blob == blob_of(data)
    packed.plain_size = 10
    with pytest.raises(runwire.InvalidArgumentError):
        upload(client, opening(), UploadBlobRequest(chunk=packed))
    packed.codec = 77  # type: ignore[assignment]
    with pytest.raises(runwire.UnimplementedError):
        upload(client, opening(), UploadBlobRequest(chunk=packed))


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [UploadBlobRequest()],
        [chunk(b"abc", 0)],
        [opening(), opening()],
        [opening(Blob(digest="md5:123", size_bytes=1))],
    ],
)
def test_messages_out_of_order_are_refused(
    client: runwire.Client, requests: list[UploadBlobRequest]
) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as caught:
        upload(client, *requests)
    assert caught.value.reason == "FIELD_INVALID"


def test_unknown_upload_is_not_found(client: runwire.Client) -> None:
    with pytest.raises(runwire.NotFoundError):
        client.artifacts.get_upload("f" * 32)
    with pytest.raises(runwire.NotFoundError):
        upload(client, opening(upload_id="../../canary"))
