"""Large files straight from the blob store, and through the server where that cannot be."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import backends
import pytest
import runwire
from runwire.v1.artifact_service_pb2 import DownloadArtifactRequest
from runwire.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from runwire_server.app import App
from runwire_server.settings import Settings
from runwire_server.transport import GrpcServer

MIB = 1 << 20
SIZE = 2 * MIB + 1
DATA = os.urandom(SIZE)


@pytest.fixture
def app(
    s3: backends.S3, sqlite: backends.Sqlite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[App]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # no proxy stands between us and loopback
    with (
        s3.bucket() as bucket,
        sqlite.database(tmp_path / "metadata") as url,
        closing(App(url, bucket, direct_downloads_s=60)) as opened,
    ):
        yield opened


@pytest.fixture
def client(app: App) -> Iterator[runwire.Client]:
    server = GrpcServer(app, Settings(grpc_port=0, unary_threads=8))
    server.start()
    try:
        with runwire.Client(f"grpc://127.0.0.1:{server.port}") as opened:
            yield opened
    finally:
        server.stop(grace_s=5)


@pytest.fixture
def run_id(client: runwire.Client) -> str:
    made = client.runs.create()
    client.artifacts.put(made.run_id, DATA, "large.bin")
    client.artifacts.put(made.run_id, b"small", "small.bin")
    return made.run_id


class Store(ThreadingHTTPServer):
    """Gives ``DATA`` out as ``answer`` says; ``asked`` has the offsets in order."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler, int], None]):
        self.answer = answer
        self.asked: list[int] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/blob?signature=secret"


class _Handler(BaseHTTPRequestHandler):
    server: Store

    def do_GET(self) -> None:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])
        assert found is not None
        self.server.asked.append(int(found[1]))
        self.server.answer(self, int(found[1]))

    def log_message(self, *_: object) -> None:
        pass


def send(handler: BaseHTTPRequestHandler, data: bytes, start: int, *, length: int = 0) -> None:
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes {start}-{SIZE - 1}/{SIZE}")
    handler.send_header("Content-Length", str(length or len(data)))
    handler.end_headers()
    handler.wfile.write(data)


@contextmanager
def store(
    app: App, monkeypatch: pytest.MonkeyPatch, answer: Callable[[BaseHTTPRequestHandler, int], None]
) -> Iterator[Store]:
    """Stands where the app's signed URLs lead."""
    with Store(answer) as made:
        monkeypatch.setattr(app.blobs, "sign", lambda key, expire_s: made.url)
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


def get(client: runwire.Client, run_id: str, path: str = "large.bin") -> bytes:
    return client.artifacts.get(run_id, path, "got").read_bytes()


def test_a_large_file_comes_from_the_store_and_not_through_the_server(
    app: App, client: runwire.Client, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.blobs, "stream", None)
    assert "artifacts.direct" in client.server_info().features
    assert get(client, run_id) == DATA
    assert get(client, run_id, "small.bin") == b"small"


def test_a_location_is_only_for_those_who_ask(
    app: App, client: runwire.Client, run_id: str
) -> None:
    assert b"".join(client.artifacts.download(run_id, "large.bin", offset=SIZE - 3)) == DATA[-3:]
    found = next(iter(client.artifacts.list(run_id)))
    request = DownloadArtifactRequest(blob=found.blob, accept_location=True)
    (answer,) = client._caller.stream(ArtifactServiceStub, "DownloadArtifact", request)
    assert answer.blob == found.blob
    assert not answer.HasField("chunk")
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in answer.location.url
    assert "X-Amz-Expires=60" in answer.location.url


def test_where_the_store_cannot_be_reached_it_comes_through_the_server(
    app: App, client: runwire.Client, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def sign(key: str, expire_s: int) -> str:
        asked.append(key)
        return "http://127.0.0.1:9/blob"

    monkeypatch.setattr(app.blobs, "sign", sign)
    assert [get(client, run_id) for _ in range(3)] == [DATA] * 3
    assert len(asked) == 1


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "http://[", "", "x"])
def test_a_location_that_is_not_of_http_is_left_alone(
    app: App, client: runwire.Client, run_id: str, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(app.blobs, "sign", lambda key, expire_s: url)
    assert get(client, run_id) == DATA


def test_a_cut_goes_on_at_the_byte_that_came(
    app: App, client: runwire.Client, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(handler: BaseHTTPRequestHandler, start: int) -> None:
        send(handler, DATA[start : start + MIB], start, length=SIZE - start)

    monkeypatch.setattr(app.blobs, "stream", None)
    with store(app, monkeypatch, answer) as made:
        assert get(client, run_id) == DATA
    assert made.asked == [0, MIB, 2 * MIB]


@pytest.mark.parametrize("status", [200, 403, 404, 416, 503])
def test_a_store_that_refuses_or_knows_no_ranges_is_not_asked_again(
    app: App, client: runwire.Client, run_id: str, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    def answer(handler: BaseHTTPRequestHandler, start: int) -> None:
        if start == 0:
            send(handler, DATA[:MIB], 0, length=SIZE)
            return
        handler.send_response(status)
        handler.end_headers()
        handler.wfile.write(DATA)

    with store(app, monkeypatch, answer) as made:
        assert get(client, run_id) == DATA
        assert get(client, run_id) == DATA
    assert made.asked == [0, MIB]


def test_what_is_damaged_in_the_store_is_no_file_and_the_url_stays_secret(
    app: App, client: runwire.Client, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(handler: BaseHTTPRequestHandler, start: int) -> None:
        send(handler, bytes(SIZE), start)

    with (
        store(app, monkeypatch, answer),
        pytest.raises(runwire.RunwireError, match="digest") as caught,
    ):
        get(client, run_id)
    assert caught.value.reason == "DIGEST_MISMATCH"
    assert "secret" not in str(caught.value)
    assert not any(path.is_file() for path in Path("got").rglob("*"))


def test_a_folder_gives_out_no_urls(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--direct-downloads-s: .*blobs gives out no signed URLs"):
        App(f"sqlite:///{tmp_path}/x.db", str(tmp_path / "blobs"), direct_downloads_s=60)
