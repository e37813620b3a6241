"""Blob stores: one behaviour on a folder, on S3 and on fsspec's file systems."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import google_crc32c
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from memory import holds_less_than
from runwire import RunwireError, _artifact_chunk
from runwire.v1.artifact_pb2 import CODEC_GZIP, CODEC_ZSTD, Chunk
from runwire_server.blobs import BlobStore, blob_key, chunks, open_blobs, s3
from runwire_server.blobs.objects import PIECE_BYTES, ObjectStore
from runwire_server.errors import (
    ChecksumMismatch,
    FieldInvalid,
    StorageUnavailable,
    TooLarge,
    Unimplemented,
)

from server.artifacts import store

__all__ = ["store"]

MIB = 1 << 20


@pytest.fixture(params=["folder", "s3", "fsspec"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "blobs")
    elif request.param == "fsspec":
        yield "memory://bucket/prefix"
        fsspec.filesystem("memory").rm("/bucket", recursive=True)
    else:
        server = request.getfixturevalue("s3")
        with server.bucket() as bucket:
            yield bucket


def read(store: BlobStore, key: str, offset: int = 0, size: int | None = None) -> bytes:
    whole = store.stat(key) or 0
    return b"".join(store.stream(key, offset, whole - offset if size is None else size))


def add_segment(store: BlobStore, name: str, data: bytes) -> int:
    writer = store.begin_segment("u1", name)
    for start in range(0, len(data), MIB):
        writer.write(data[start : start + MIB])
    size = writer.seal()
    writer.close()
    return size


def test_bytes_that_were_put_can_be_read_whole_and_in_ranges(store: BlobStore) -> None:
    data = os.urandom(3 * MIB + 17)
    store.put("blobs/a/b", data)
    store.check()
    assert store.stat("blobs/a/b") == len(data)
    assert read(store, "blobs/a/b") == data
    assert read(store, "blobs/a/b", MIB - 3, 7) == data[MIB - 3 : MIB + 4]
    assert read(store, "blobs/a/b", len(data), 0) == b""


def test_empty_blob_is_a_blob(store: BlobStore) -> None:
    store.put("blobs/empty", b"")
    assert store.stat("blobs/empty") == 0
    assert read(store, "blobs/empty") == b""
    store.assemble([], "blobs/empty2", take=True)
    assert store.stat("blobs/empty2") == 0


def test_what_is_not_there_has_no_size_and_cannot_be_read(store: BlobStore) -> None:
    store.put("blobs/a/b", b"x")
    assert store.stat("blobs/a/c") is None
    with pytest.raises(StorageUnavailable):
        list(store.stream("blobs/a/c", 0, 1))


def test_list_names_every_key_of_a_folder_and_delete_can_be_repeated(store: BlobStore) -> None:
    store.put_many({f"blobs/w/{index}": b"x" for index in range(20)})
    store.put("other/x", b"x")
    assert set(store.list("blobs")) == {f"blobs/w/{index}" for index in range(20)}
    assert set(store.list()) == {*store.list("blobs"), "other/x"}
    store.delete("other/x")
    store.delete("other/x")
    assert list(store.list("other")) == []


def test_synced_bytes_of_an_upload_outlive_the_store_object(store: BlobStore, url: str) -> None:
    data = os.urandom(PIECE_BYTES + 5)
    writer = store.begin_segment("u1", "first")
    writer.write(data)
    durable = writer.sync()
    writer.write(b"never acknowledged")
    writer.close()

    again = open_blobs(url)
    pieces = list(again.pieces("u1", "first", durable))
    kept = b"".join(b"".join(again.stream(key, 0, size)) for key, size in pieces)
    assert durable >= PIECE_BYTES
    assert kept == data[:durable]


def test_segments_become_one_blob_and_leave_nothing_behind(store: BlobStore) -> None:
    first, second = os.urandom(2 * PIECE_BYTES), os.urandom(PIECE_BYTES + 3)
    sizes = {"a": add_segment(store, "a", first), "b": add_segment(store, "b", second)}
    pieces = [piece for name, size in sizes.items() for piece in store.pieces("u1", name, size)]
    store.assemble(pieces, "blobs/whole", take=False)
    store.drop_upload("u1")
    store.drop_upload("u1")
    assert read(store, "blobs/whole") == first + second
    assert list(store.list()) == ["blobs/whole"]


def test_own_segment_becomes_the_blob(store: BlobStore) -> None:
    data = os.urandom(MIB)
    size = add_segment(store, "a", data)
    store.assemble(store.pieces("u1", "a", size), "blobs/whole", take=True)
    store.drop_upload("u1")
    assert read(store, "blobs/whole") == data
    assert list(store.list()) == ["blobs/whole"]


def test_writing_and_reading_keep_few_bytes_in_memory(tmp_path: Path) -> None:
    store = open_blobs(str(tmp_path / "blobs"))
    block = os.urandom(MIB)

    def write_and_read() -> None:
        writer = store.begin_segment("u1", "a")
        for _ in range(64):
            writer.write(block)
        size = writer.seal()
        writer.close()
        store.assemble(store.pieces("u1", "a", size), "blobs/whole", take=False)
        for _ in store.stream("blobs/whole", 0, size):
            pass
        store.drop_upload("u1")
        store.delete("blobs/whole")

    holds_less_than(8 * MIB, write_and_read)


# S3 ---------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_more_pieces_than_parts_are_joined_in_groups(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "MAX_PARTS", 3)
    monkeypatch.setattr(s3, "GROUP", 2)
    data = os.urandom(4 * PIECE_BYTES + 1)
    size = add_segment(store, "a", data)
    store.assemble(store.pieces("u1", "a", size), "blobs/whole", take=True)
    store.drop_upload("u1")
    assert read(store, "blobs/whole") == data
    assert list(store.list()) == ["blobs/whole"]


@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_failed_join_leaves_no_multipart_upload(store: BlobStore) -> None:
    assert isinstance(store, ObjectStore)
    missing = store.pieces("u1", "never-written", 2 * PIECE_BYTES)
    with pytest.raises(StorageUnavailable):
        store.assemble(missing, "blobs/whole", take=True)
    bucket = store.path("x").split("/")[0]
    left = store._fs.call_s3("list_multipart_uploads", Bucket=bucket)
    assert left.get("Uploads", []) == []
    assert store.stat("blobs/whole") is None


@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_bucket_that_is_not_there_is_storage_unavailable(url: str) -> None:
    store = open_blobs("s3://no-such-bucket/x")
    for call in (store.check, lambda: store.put("blobs/x", b"x")):
        with pytest.raises(StorageUnavailable):
            call()


@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_endpoint_that_is_away_is_storage_unavailable(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StorageUnavailable):
        open_blobs(url).put("blobs/x", b"x")


# Disks that refuse ------------------------------------------------------------


def test_full_disk_keeps_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_blobs(str(tmp_path / "blobs"))
    store.put("blobs/before", b"before")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageUnavailable, match="is full"):
            store.put("blobs/after", b"after")
    assert list(store.list()) == ["blobs/before"]
    store.put("blobs/after", b"after")
    assert read(store, "blobs/after") == b"after"


def test_full_device_is_storage_unavailable(tmp_path: Path) -> None:
    """Not simulated: Linux answers a write to /dev/full with ENOSPC."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    store = open_blobs(str(tmp_path / "blobs"))
    writer: Any = store.begin_segment("u1", "a")
    with Path("/dev/full").open("wb", buffering=0) as device:
        os.dup2(device.fileno(), writer._file.fileno())
    writer.write(b"x")  # it is written beside the next ones
    with pytest.raises(StorageUnavailable, match="is full"):
        writer.sync()
    writer.write(b"behind the gap")
    with pytest.raises(StorageUnavailable, match="is full"):
        writer.seal()
    assert writer.durable() == 0
    writer.close()


def test_full_object_store_keeps_nothing_half_written() -> None:
    class Full:
        def pipe_file(self, path: str, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageUnavailable, match="is full"):
        ObjectStore(Full(), "bucket").put("blobs/x", b"x")


def test_file_in_place_of_the_folder_is_storage_unavailable(tmp_path: Path) -> None:
    """Root may write everywhere, but not below a file."""
    (tmp_path / "blobs").write_text("a file")
    store = open_blobs(str(tmp_path / "blobs"))
    for call in (
        store.check,
        lambda: store.put("blobs/x", b"x"),
        lambda: store.begin_segment("u1", "a"),
    ):
        with pytest.raises(StorageUnavailable, match="a file is where a folder"):
            call()
    assert (tmp_path / "blobs").read_text() == "a file"


def test_read_only_file_system_is_storage_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(StorageUnavailable, match="is read-only"):
        open_blobs(str(tmp_path / "blobs")).check()


# URLs and keys ----------------------------------------------------------------


def test_file_urls_and_paths_are_the_same_folder(tmp_path: Path) -> None:
    for url in (str(tmp_path), f"file:{tmp_path}", f"file://{tmp_path}"):
        open_blobs(url).put("blobs/x", b"x")
    assert (tmp_path / "blobs" / "x").read_bytes() == b"x"


def test_store_without_its_package_names_the_package() -> None:
    with pytest.raises(ImportError, match="gcsfs"):
        open_blobs("gs://bucket/prefix")


@pytest.mark.parametrize("url", ["s3:bucket", "s3://", "s3:///key", "nonsense://x"])
def test_url_of_no_store_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError, match=r"names no bucket|not known"):
        open_blobs(url)


@given(st.text(min_size=1, max_size=50), st.text(min_size=1, max_size=50))
def test_workspaces_never_share_a_key_nor_leave_the_root(one: str, other: str) -> None:
    digest = "sha256:" + "ab" * 32
    key = blob_key(one, digest)
    assert len(key.split("/")) == 5
    assert not {"", ".", ".."} & set(key.split("/"))
    assert (key.lower() == blob_key(other, digest).lower()) == (one == other)


# Chunks -----------------------------------------------------------------------


def test_chunks_carry_every_byte_and_its_checksum() -> None:
    data = os.urandom(2 * MIB + 5)
    made = []
    for offset, part in chunks.split([data[:MIB], data[MIB:]], 100, 300_000):
        made.append(Chunk())
        chunks.fill(made[-1], offset, part)
    assert b"".join(chunks.decode(chunk, MIB) for chunk in made) == data
    assert [chunk.offset for chunk in made][:2] == [100, 300_100]
    assert all(chunk.HasField("crc32c") for chunk in made)


def test_corrupt_chunk_is_a_checksum_mismatch() -> None:
    crc32c = google_crc32c.value(b"right")
    with pytest.raises(ChecksumMismatch):
        chunks.decode(Chunk(data=b"wrong", plain_size=5, crc32c=crc32c), MIB)


def test_gzip_chunk_is_unpacked_and_checked_as_plain_bytes() -> None:
    data, crc32c = b"x" * 1000, google_crc32c.value(b"x" * 1000)
    packed = gzip.compress(data)
    chunk = Chunk(data=packed, codec=CODEC_GZIP, plain_size=1000, crc32c=crc32c)
    assert chunks.decode(chunk, MIB) == data
    for damaged in (packed[:-9], b"no gzip", packed + packed, b""):
        chunk.data = damaged
        with pytest.raises(ChecksumMismatch):
            chunks.decode(chunk, MIB)


@pytest.mark.parametrize("plain_size", [0, 10, 1000])
def test_gzip_bomb_is_refused_before_it_grows(plain_size: int) -> None:
    bomb = Chunk(data=gzip.compress(bytes(256 * MIB)), codec=CODEC_GZIP, plain_size=plain_size)

    def decode() -> None:
        with pytest.raises(FieldInvalid):
            chunks.decode(bomb, MIB)

    holds_less_than(MIB, decode)


def test_chunk_that_lies_about_its_size_is_refused() -> None:
    with pytest.raises(FieldInvalid):
        chunks.decode(Chunk(data=b"12345", plain_size=4), MIB)
    with pytest.raises(TooLarge):
        chunks.decode(Chunk(data=b"", plain_size=MIB + 1, codec=CODEC_GZIP), MIB)
    with pytest.raises(TooLarge):
        chunks.decode(Chunk(data=b"12345"), 4)


def test_codec_that_is_not_here_is_unimplemented() -> None:
    for codec in (77, 78):
        with pytest.raises(Unimplemented):
            chunks.decode(Chunk(data=b"x", plain_size=1, codec=codec), MIB)  # type: ignore[arg-type]


# Zstandard ------------------------------------------------------------------------

TEXT = b"epoch,loss\n" + b"".join(b"%d,%f\n" % (n, 1 / (n + 1)) for n in range(20_000))


def zstd_chunk(plain: bytes, **fields: Any) -> Chunk:
    packed = zstandard.ZstdCompressor().compress(plain)
    made = Chunk(codec=CODEC_ZSTD, plain_size=len(plain), data=packed)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_chunk_that_shrinks_travels_packed_and_one_that_does_not_as_it_is() -> None:
    for data, codec in ((TEXT, CODEC_ZSTD), (os.urandom(MIB), 0), (b"", 0)):
        chunk = Chunk()
        chunks.fill(chunk, 7, data, [CODEC_ZSTD])
        assert chunk.codec == codec
        assert chunks.decode(chunk, 4 * MIB) == data
        sent = Chunk()
        _artifact_chunk.fill(sent, 7, data, pack=True)
        assert sent.codec == codec
        assert chunks.decode(sent, 4 * MIB) == data
        assert _artifact_chunk.check(chunk, 7) == data
        plain = Chunk()
        chunks.fill(plain, 7, data)
        assert plain.codec == 0


@pytest.mark.parametrize("write_size", [True, False])
def test_zstd_bomb_is_never_blown_up(write_size: bool) -> None:
    whole = bytes(256 * MIB)
    bomb = zstandard.ZstdCompressor(write_content_size=write_size).compress(whole)
    del whole

    def take(chunk: Chunk) -> None:
        with pytest.raises((FieldInvalid, ChecksumMismatch)):
            chunks.decode(chunk, 4 * MIB)
        with pytest.raises(RunwireError):
            _artifact_chunk.check(chunk, 0)

    for plain_size in (0, 1000, 3 * MIB):
        chunk = Chunk(codec=CODEC_ZSTD, plain_size=plain_size, data=bomb)
        holds_less_than(16 * MIB, partial(take, chunk))
    with pytest.raises(TooLarge):
        chunks.decode(Chunk(codec=CODEC_ZSTD, plain_size=256 * MIB, data=bomb), 4 * MIB)
    with pytest.raises(RunwireError):
        _artifact_chunk.check(Chunk(codec=CODEC_ZSTD, plain_size=256 * MIB, data=bomb), 0)


def test_zstd_that_lies_or_is_damaged_is_refused() -> None:
    good = zstd_chunk(TEXT)
    assert chunks.decode(good, 4 * MIB) == TEXT
    for size in (1, len(TEXT) - 1, len(TEXT) + 1):
        with pytest.raises((FieldInvalid, ChecksumMismatch)):
            chunks.decode(zstd_chunk(TEXT, plain_size=size), 4 * MIB)
    for data in (b"", b"no frame", good.data[:-1], good.data + b"x", good.data * 2):
        for decode in (lambda chunk: chunks.decode(chunk, 4 * MIB), _check_at_0):
            with pytest.raises((ChecksumMismatch, RunwireError)):
                decode(zstd_chunk(TEXT, data=data))
    with pytest.raises(ChecksumMismatch):
        chunks.decode(zstd_chunk(TEXT, crc32c=1), 4 * MIB)


def _check_at_0(chunk: Chunk) -> bytes:
    return _artifact_chunk.check(chunk, 0)


@given(st.binary(max_size=200), st.integers(0, 1 << 20))
def test_no_zstd_data_ends_in_anything_but_bytes_or_a_typed_error(data: bytes, size: int) -> None:
    frame = zstandard.ZstdCompressor().compress(b"seed" * 100)
    for packed in (data, frame[: len(data)] + data):
        chunk = Chunk(codec=CODEC_ZSTD, plain_size=size, data=packed)
        with contextlib.suppress(FieldInvalid, ChecksumMismatch):
            assert len(chunks.decode(chunk, MIB)) == size
