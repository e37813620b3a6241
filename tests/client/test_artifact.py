"""The client's transfers: through cuts, past damage, and safe from a hostile server."""

from __future__ import annotations

import filecmp
import os
import sys
import tracemalloc
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import hostile_paths
import pytest
from runwire import (
    RunwireError,
    UnavailableError,
    _artifact_chunk,
    _artifact_path,
    _artifact_patience,
)
from runwire._artifact import Artifacts
from runwire._artifact_path import UnsafePathError, folds_case, target, walk
from runwire._call import Caller
from runwire.v1.artifact_pb2 import Artifact, Blob, Chunk
from runwire.v1.artifact_service_pb2 import (
    BatchGetArtifactsRequest,
    BatchGetArtifactsResponse,
    DownloadArtifactRequest,
    DownloadArtifactResponse,
    ListArtifactsRequest,
    ListArtifactsResponse,
    UploadBlobRequest,
    UploadBlobResponse,
)
from runwire.v1.artifact_service_pb2_grpc import add_ArtifactServiceServicer_to_server
from runwire.v1.run_pb2 import Run
from runwire_server.blobs import open_blobs
from runwire_server.errors import Draining
from runwire_server.inprocess import InProcessServer
from runwire_server.interceptors import CallInterceptor
from runwire_server.limits import LIMITS
from runwire_server.services.artifact import ArtifactService
from runwire_server.store import run as runs
from runwire_server.store.database import Database

MIB = 1 << 20
RUN_ID = "a" * 32
# Has a stream of its own: smaller ones come in a batch.
LARGE = bytes(range(256)) * 1025


class Connection:
    """Stands where ``connect`` would have opened local mode."""

    is_local = True
    uri = "in-process"

    def __init__(self, service: ArtifactService):
        server: Any = InProcessServer([CallInterceptor()])
        add_ArtifactServiceServicer_to_server(service, server)
        self.channel = server.channel

    def close(self) -> None:
        """Nothing is held."""


Connect = Callable[[type[ArtifactService]], Artifacts]


@pytest.fixture
def connect(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """A client of a service that may be a bad one, over one store with one run."""
    monkeypatch.setattr(_artifact_patience, "FIRST_DELAY_S", 0.0)
    monkeypatch.setattr(_artifact_patience, "MAX_DELAY_S", 0.0)
    monkeypatch.setattr(_artifact_patience, "PATIENCE_S", 0.0)
    with db.write() as tx:
        runs.create(tx, Run(run_id=RUN_ID, experiment_id="0"), "", "")

    def made(service: type[ArtifactService]) -> Artifacts:
        served = service(db, open_blobs(str(tmp_path / "blobs")), LIMITS)
        connection: Any = Connection(served)
        return Artifacts(Caller(connection))

    return made


@pytest.fixture
def good(connect: Connect) -> Artifacts:
    return connect(ArtifactService)


# Cuts and damage ------------------------------------------------------------------


class CutAfter17Mib(ArtifactService):
    """Ends the first calls in the middle, as a server that restarts does."""

    cuts: ClassVar[int] = 3
    begun_at: ClassVar[list[int]] = []

    def UploadBlob(
        self, request_iterator: Iterator[UploadBlobRequest], context: Any
    ) -> Iterator[UploadBlobResponse]:
        for answer in super().UploadBlob(self._cut(request_iterator), context):
            if answer.HasField("opened"):
                self.begun_at.append(answer.opened.committed_size)
            yield answer

    def _cut(self, requests: Iterator[UploadBlobRequest]) -> Iterator[UploadBlobRequest]:
        for count, request in enumerate(requests):
            if count == 17 and type(self).cuts:
                type(self).cuts -= 1
                raise Draining(retry_after_s=0.0)
            yield request

    def DownloadArtifact(
        self, request: DownloadArtifactRequest, context: Any
    ) -> Iterator[DownloadArtifactResponse]:
        self.begun_at.append(request.offset)
        for count, answer in enumerate(super().DownloadArtifact(request, context)):
            if count == 17 and type(self).cuts:
                type(self).cuts -= 1
                raise Draining(retry_after_s=0.0)
            yield answer


def test_transfers_go_on_after_cuts_where_they_were(connect: Connect, tmp_path: Path) -> None:
    chunk_bytes = LIMITS.blob_chunk_bytes
    source = tmp_path / "source"
    source.write_bytes(os.urandom(60 * chunk_bytes))
    CutAfter17Mib.cuts, CutAfter17Mib.begun_at = 3, []
    artifacts = connect(CutAfter17Mib)
    artifacts.put(RUN_ID, source, "a")
    assert len(CutAfter17Mib.begun_at) == 4
    assert CutAfter17Mib.begun_at == sorted(CutAfter17Mib.begun_at)

    CutAfter17Mib.cuts, CutAfter17Mib.begun_at = 3, []
    seen: list[int] = []
    fetched = artifacts.get(
        RUN_ID, "a", tmp_path / "out", progress=lambda done, _total: seen.append(done)
    )
    assert CutAfter17Mib.begun_at == [0, *(17 * chunk_bytes * n for n in (1, 2, 3))]
    assert fetched.read_bytes() == source.read_bytes()
    assert seen[-1] == 60 * chunk_bytes


def test_server_that_stays_away_is_given_up(connect: Connect, tmp_path: Path) -> None:
    class Away(ArtifactService):
        def UploadBlob(
            self, request_iterator: Iterator[UploadBlobRequest], context: Any
        ) -> Iterator[UploadBlobResponse]:
            raise Draining(retry_after_s=0.0)

        def DownloadArtifact(
            self, request: DownloadArtifactRequest, context: Any
        ) -> Iterator[DownloadArtifactResponse]:
            raise Draining(retry_after_s=0.0)

    artifacts = connect(Away)
    with pytest.raises(UnavailableError):
        artifacts.put(RUN_ID, os.urandom(MIB), "a")
    connect(ArtifactService).put(RUN_ID, LARGE, "b")
    with pytest.raises(UnavailableError):
        artifacts.get(RUN_ID, "b", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


class Damaging(ArtifactService):
    """Changes a byte of what it sends, the first ``times`` times."""

    times: ClassVar[int] = 1
    fix_checksum: ClassVar[bool] = False

    def DownloadArtifact(
        self, request: DownloadArtifactRequest, context: Any
    ) -> Iterator[DownloadArtifactResponse]:
        for answer in super().DownloadArtifact(request, context):
            if type(self).times:
                type(self).times -= 1
                data = bytes([answer.chunk.data[0] ^ 1]) + answer.chunk.data[1:]
                answer.chunk.data = data
                if self.fix_checksum:
                    _artifact_chunk.fill(answer.chunk, answer.chunk.offset, data)
            yield answer

    def BatchGetArtifacts(
        self, request: BatchGetArtifactsRequest, context: Any
    ) -> BatchGetArtifactsResponse:
        answer = super().BatchGetArtifacts(request, context)
        answer.items[0].data = b"other"
        return answer


def test_damaged_chunk_is_fetched_again(connect: Connect, tmp_path: Path) -> None:
    Damaging.times, Damaging.fix_checksum = 1, False
    artifacts = connect(Damaging)
    artifacts.put(RUN_ID, LARGE, "a")
    assert artifacts.get(RUN_ID, "a", tmp_path / "out").read_bytes() == LARGE


@pytest.mark.parametrize("size", [7, len(LARGE)])
def test_wrong_bytes_never_become_a_file(connect: Connect, tmp_path: Path, size: int) -> None:
    Damaging.times, Damaging.fix_checksum = 1000, True
    artifacts = connect(Damaging)
    artifacts.put(RUN_ID, LARGE[:size], "a")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("before")
    with pytest.raises(RunwireError) as caught:
        artifacts.get(RUN_ID, "a", tmp_path / "out")
    assert caught.value.reason == "DIGEST_MISMATCH"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    assert (tmp_path / "out" / "a").read_text() == "before"


def test_endless_file_is_not_written_to_the_end_of_the_disk(
    connect: Connect, tmp_path: Path
) -> None:
    class Endless(ArtifactService):
        def DownloadArtifact(
            self, request: DownloadArtifactRequest, context: Any
        ) -> Iterator[DownloadArtifactResponse]:
            (first,) = super().DownloadArtifact(request, context)
            yield first
            offset = len(first.chunk.data)
            while True:
                yield DownloadArtifactResponse(chunk=Chunk(offset=offset, data=b"more"))
                offset += 4

    artifacts = connect(Endless)
    artifacts.put(RUN_ID, LARGE, "a")
    with pytest.raises(RunwireError, match="longer than"):
        artifacts.get(RUN_ID, "a", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_client_without_crc32c_sends_and_fetches(
    good: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    _artifact_chunk._crc32c.cache_clear()
    try:
        chunk = Chunk()
        _artifact_chunk.fill(chunk, 0, b"x")
        assert not chunk.HasField("crc32c")
        data = os.urandom(2 * MIB)
        good.put(RUN_ID, data, "a")
        assert good.get(RUN_ID, "a", tmp_path / "out").read_bytes() == data
    finally:
        _artifact_chunk._crc32c.cache_clear()


# A server that is not to be trusted -------------------------------------------------


class Hostile(ArtifactService):
    paths: ClassVar[tuple[str, ...]] = ()

    def ListArtifacts(self, request: ListArtifactsRequest, context: Any) -> ListArtifactsResponse:
        listing = super().ListArtifacts(request, context)
        bad = [Artifact(path=path, blob=listing.artifacts[0].blob) for path in self.paths]
        return ListArtifactsResponse(artifacts=[*listing.artifacts, *bad])


def test_nothing_is_written_outside_the_folder(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("untouched")
    artifacts = connect(Hostile)
    artifacts.put(RUN_ID, b"x", "good")
    for path in hostile_paths.REFUSED:
        Hostile.paths = (path,)
        with pytest.raises(UnsafePathError):
            artifacts.get(RUN_ID, "", tmp_path / "out")
    assert (tmp_path / "canary").read_text() == "untouched"
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("prefix", ["..", "../elsewhere", "/etc", "a/../..", "\uff0e\uff0e"])
def test_server_that_goes_along_with_a_hostile_path_writes_nothing(
    connect: Connect, tmp_path: Path, prefix: str
) -> None:
    class Complaisant(ArtifactService):
        def ListArtifacts(
            self, request: ListArtifactsRequest, context: Any
        ) -> ListArtifactsResponse:
            return ListArtifactsResponse(artifacts=[Artifact(path=f"{prefix}/x", blob=Blob())])

    with pytest.raises(UnsafePathError):
        connect(Complaisant).get(RUN_ID, prefix, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", hostile_paths.WINDOWS)
def test_name_that_windows_cannot_store_is_not_written_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert target(tmp_path, name) == tmp_path / name
    monkeypatch.setattr(_artifact_path, "on_windows", lambda: True)
    with pytest.raises(UnsafePathError, match="Windows"):
        target(tmp_path, name)


@pytest.mark.parametrize(
    "paths", [("a", "A"), ("x/É", "x/é"), ("dir", "DIR/file"), ("ss", "ß"), ("K", "\u212a")]
)
def test_names_that_are_one_on_this_disk_are_not_written_over_each_other(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: tuple[str, ...]
) -> None:
    artifacts = connect(Hostile)
    artifacts.put(RUN_ID, b"x", "good")
    Hostile.paths = paths
    monkeypatch.setattr(_artifact_path, "folds_case", lambda folder: True)
    with pytest.raises(UnsafePathError, match="one name"):
        artifacts.get(RUN_ID, "", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_names_that_differ_in_case_are_two_where_the_disk_knows_it(
    good: Artifacts, tmp_path: Path
) -> None:
    if folds_case(tmp_path):
        pytest.skip("this disk takes them for one")
    for path in ("a", "A", "Dir/x", "dir/y"):
        good.put(RUN_ID, path.encode(), path)
    good.get(RUN_ID, "", tmp_path / "out")
    assert (tmp_path / "out" / "A").read_bytes() == b"A"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["A", "Dir", "a", "dir"]


def test_file_that_is_a_folder_too_is_not_written(connect: Connect, tmp_path: Path) -> None:
    Hostile.paths = ("a", "a/b")
    artifacts = connect(Hostile)
    artifacts.put(RUN_ID, b"x", "good")
    with pytest.raises(UnsafePathError, match="as a file and as a folder"):
        artifacts.get(RUN_ID, "", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_only_what_was_asked_for_is_written(connect: Connect, tmp_path: Path) -> None:
    Hostile.paths = ("other/file",)
    artifacts = connect(Hostile)
    artifacts.put(RUN_ID, b"x", "good/file")
    with pytest.raises(UnsafePathError):
        artifacts.get(RUN_ID, "good", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_link_that_leads_out_of_the_folder_is_not_followed(good: Artifacts, tmp_path: Path) -> None:
    good.put(RUN_ID, b"x", "link/file")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafePathError):
        good.get(RUN_ID, "", tmp_path / "out")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_link_in_the_place_of_a_file_is_replaced_and_not_written_through(
    good: Artifacts, tmp_path: Path
) -> None:
    good.put(RUN_ID, b"x", "file")
    (tmp_path / "canary").write_text("untouched")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").symlink_to(tmp_path / "canary")
    assert good.get(RUN_ID, "file", tmp_path / "out").read_bytes() == b"x"
    assert not (tmp_path / "out" / "file").is_symlink()
    assert (tmp_path / "canary").read_text() == "untouched"


def test_target_lies_below_its_root(tmp_path: Path) -> None:
    assert target(tmp_path, "a/b") == tmp_path / "a" / "b"


# What is sent of a folder -----------------------------------------------------------


def test_links_to_files_are_followed_and_nothing_else_that_is_special(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "file").write_text("x")
    (source / "link").symlink_to(source / "sub" / "file")
    (source / "folder").symlink_to("/etc")
    (source / "loop").symlink_to(source)
    os.mkfifo(source / "pipe")
    assert [path for path, _ in walk(source, "")] == ["link", "sub/file"]
    assert [path for path, _ in walk(source, "at/path")] == ["at/path/link", "at/path/sub/file"]
    assert [path for path, _ in walk(source / "link", "")] == ["link"]
    assert [path for path, _ in walk(source / "link", "as/this")] == ["as/this"]


def test_dangling_link_and_missing_file_are_told(good: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "dangling").symlink_to(tmp_path / "nowhere")
    for local in (tmp_path / "source", tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError):
            good.put(RUN_ID, local)
    assert list(good.list(RUN_ID)) == []


def test_decomposed_name_is_found_by_its_composed_one(good: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / unicodedata.normalize("NFD", "modèle")).write_text("x")
    good.put(RUN_ID, tmp_path / "source")
    assert good.get(RUN_ID, "modèle", tmp_path / "out").read_text() == "x"
    again = good.get(RUN_ID, unicodedata.normalize("NFD", "modèle"), tmp_path / "out")
    assert again == tmp_path / "out" / "modèle"


def test_large_file_that_shrinks_meanwhile_is_refused(
    good: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, source = 3 * MIB, tmp_path / "source"
    source.write_bytes(os.urandom(size))
    ask = good.find_missing_blobs

    def shrink_then_ask(*arguments: Any, **options: Any) -> Any:
        os.truncate(source, size // 2)
        return ask(*arguments, **options)

    monkeypatch.setattr(good, "find_missing_blobs", shrink_then_ask)
    with pytest.raises(RunwireError) as caught:
        good.put(RUN_ID, source)
    assert caught.value.reason == "DIGEST_MISMATCH"
    assert list(good.list(RUN_ID)) == []


@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_file_that_grows_meanwhile_is_sent_as_it_was(
    good: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    source, data = tmp_path / "log", os.urandom(size)
    source.write_bytes(data)
    ask = good.find_missing_blobs

    def grow_then_ask(*arguments: Any, **options: Any) -> Any:
        with source.open("ab") as file:
            file.write(b"another line")
        return ask(*arguments, **options)

    monkeypatch.setattr(good, "find_missing_blobs", grow_then_ask)
    good.put(RUN_ID, source)
    with closing(good.download(RUN_ID, "log")) as download:
        assert download.read() == data


def test_memory_does_not_grow_with_a_folder_and_progress_is_told_all_the_way(
    good: Artifacts, tmp_path: Path
) -> None:
    """96 MiB both ways: the bytes of some groups at a time, on both sides."""
    (tmp_path / "source").mkdir()
    for number in range(3000):
        (tmp_path / "source" / f"{number:04}").write_bytes(os.urandom(32 << 10))
    for transfer in (
        partial(good.put, RUN_ID, tmp_path / "source"),
        partial(good.get, RUN_ID, "", tmp_path / "out"),
    ):
        seen: list[int] = []
        tracemalloc.start()
        transfer(progress=partial(_note, seen))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 40 * MIB
        assert (seen[0], seen[-1]) == (0, 3000 * (32 << 10))
        assert len(seen) > 24
    names = [path.name for path in (tmp_path / "source").iterdir()]
    mismatched = filecmp.cmpfiles(tmp_path / "source", tmp_path / "out", names, shallow=False)[1:]
    assert mismatched == ([], [])


def _note(seen: list[int], done: int, _total: int) -> None:
    seen.append(done)


def test_same_bytes_under_many_names_are_sent_once(
    good: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source").mkdir()
    for number in range(2500):
        (tmp_path / "source" / f"{number}").write_bytes(b"the same")
    sent: list[int] = []
    put = good.batch_put_blobs

    def counting(items: Any, **options: Any) -> Any:
        items = list(items)
        sent.append(len(items))
        return put(items, **options)

    monkeypatch.setattr(good, "batch_put_blobs", counting)
    assert good.put(RUN_ID, tmp_path / "source").files == 2500
    assert sent == [1]


def test_first_failure_stops_the_other_transfers(good: Artifacts, tmp_path: Path) -> None:
    class Full(Exception):
        pass

    def give_up(done: int, _total: int) -> None:
        if done:
            raise Full

    (tmp_path / "source").mkdir()
    for number in range(8):
        (tmp_path / "source" / f"{number}").write_bytes(os.urandom(MIB))
    with pytest.raises(Full):
        good.put(RUN_ID, tmp_path / "source", progress=give_up)
    assert list(good.list(RUN_ID)) == []
