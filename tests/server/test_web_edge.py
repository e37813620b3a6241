"""Every call by every dialect of the web port: the answers and errors that gRPC gives."""

from __future__ import annotations

import base64
import gzip
import json
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.message import Message
from google.rpc import status_pb2
from runwire.v1.artifact_service_pb2 import DownloadArtifactRequest
from runwire.v1.metric_service_pb2 import ReadSeriesRequest, StreamBatchesRequest
from runwire.v1.registry_service_pb2 import CreateModelRequest, ListModelEventsRequest
from runwire.v1.run_service_pb2 import GetRunRequest, SearchRunsRequest
from runwire_server.app import App
from runwire_server.errors import DataDamaged, ServiceError
from runwire_server.inprocess import InProcessServer
from runwire_server.interceptors import CallInterceptor
from runwire_server.limits import LIMITS
from runwire_server.services.metric import MetricService
from runwire_server.services.run import RunService
from test_parity import error_classes

from server import hostile
from server.web_client import DIALECTS, Dialect, WebError, ask, frame, frames, web_port

GET_RUN = "/runwire.v1.RunService/GetRun"
SEARCH = "/runwire.v1.RunService/SearchRuns"
READ = "/runwire.v1.MetricService/ReadSeries"
DOWNLOAD = "/runwire.v1.ArtifactService/DownloadArtifact"
JSON = {"content-type": "application/json"}


class InProcess(Dialect):
    """What the others are compared with."""

    def __init__(self, app: App):
        super().__init__("in-process", "proto")
        self.server = InProcessServer([CallInterceptor()])
        app.register(self.server)

    def call(self, port: int, path: str, request: Any, headers: Any = None) -> list[Message]:
        method = hostile.METHODS[path]
        answer = self.server.channel.unary_unary(
            path,
            lambda message: message.SerializeToString(),
            message_factory.GetMessageClass(method.output_type).FromString,
        )
        try:
            found = answer(request)
            return list(found) if method.server_streaming else [found]
        except grpc.RpcError as error:
            raise _as_web_error(error) from None


def _as_web_error(error: Any) -> WebError:
    trailer = dict(error.trailing_metadata())["grpc-status-details-bin"]
    details = status_pb2.Status.FromString(trailer).details
    return WebError(error.code().name, error.details(), details)


def _app(folder: Path) -> App:
    app = App(f"sqlite:///{folder / 'x.db'}", str(folder / "blobs"), pool_size=4)
    local = InProcess(app)
    hostile.seed(lambda path, request: local.call(0, path, request))
    return app


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with closing(_app(tmp_path_factory.mktemp("web"))) as made:
        yield made


@pytest.fixture
def port(app: App) -> Iterator[int]:
    with web_port(app) as found:
        yield found


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return DIALECTS[request.param]


def _outcome(dialect: Dialect, port: int, path: str, request: Message) -> list[Any]:
    """The answers, but for their times; or how the call failed."""
    try:
        answers = dialect.call(port, path, request)
    except WebError as error:
        return [error.code, error.message, *error.details]
    for answer in answers:
        _forget_times(answer)
    return answers


def _forget_times(message: Message) -> None:
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for one in value if hostile.repeated(field) else [value]:
            _forget_times(one)
        if field.message_type.full_name == "google.protobuf.Timestamp":
            message.ClearField(field.name)


def test_every_unary_method_answers_in_every_dialect_what_grpc_answers(tmp_path: Path) -> None:
    """The same requests in the same order, to a server of its own for each dialect."""
    with ExitStack() as stack:
        servers: list[tuple[Dialect, int]] = []
        for name in ("in-process", *DIALECTS):
            folder = tmp_path / name
            folder.mkdir()
            app = stack.enter_context(closing(_app(folder)))
            port = stack.enter_context(web_port(app))
            servers.append((DIALECTS.get(name) or InProcess(app), port))
        answered = 0
        for path in hostile.UNARY:
            for request in _requests(path):
                expected, *others = (_outcome(*server, path, request) for server in servers)
                for (dialect, _), found in zip(servers[1:], others, strict=True):
                    assert found == expected, f"{path} in {dialect.name}: {request}"
                answered += isinstance(expected[0], Message)
        assert answered > len(hostile.UNARY) / 2  # or errors alone were compared


def _requests(path: str) -> list[Message]:
    """A full one, and an empty one where the answer to that is not made by chance."""
    kind = hostile.METHODS[path].input_type
    empty = message_factory.GetMessageClass(kind)()
    return [hostile.plain(kind), *([] if path.endswith("/CreateRun") else [empty])]


def test_points_and_bytes_stream_as_they_are(dialect: Dialect, app: App, port: int) -> None:
    series = ReadSeriesRequest()
    series.select.run_ids.append(hostile.RUNNING)
    series.select.keys.append("loss")
    for path, request in (
        (READ, series),
        (DOWNLOAD, DownloadArtifactRequest(blob=hostile.BLOB)),
    ):
        found = dialect.call(port, path, request)
        assert found == InProcess(app).call(0, path, request)
    assert found[0].chunk.data == hostile.DATA  # type: ignore[attr-defined]


def test_error_of_a_stream_comes_after_what_was_sent(
    dialect: Dialect, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Iterator[Any]:
        yield b""
        raise DataDamaged("a block is damaged", run_id="1")

    monkeypatch.setattr(MetricService, "ReadSeries", broken)
    with web_port(app) as port, pytest.raises(WebError) as caught:
        dialect.call(port, READ, ReadSeriesRequest())
    assert (caught.value.code, caught.value.info.reason) == ("DATA_LOSS", "DATA_DAMAGED")


@pytest.mark.parametrize("name", sorted({error.reason for error in error_classes()}))
def test_every_reason_arrives_with_its_code_and_metadata(
    name: str, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ServiceError("é%\n'\"😀", retry_after_s=1.5, key="ключ")
    error.reason = name  # type: ignore[misc]
    error.code = next(one.code for one in error_classes() if one.reason == name)  # type: ignore[misc]

    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(RunService, "GetRun", fail)
    with web_port(app) as port:
        for dialect in DIALECTS.values():
            with pytest.raises(WebError) as caught:
                dialect.call(port, GET_RUN, GetRunRequest())
            with pytest.raises(WebError) as expected:
                InProcess(app).call(0, GET_RUN, GetRunRequest())
            assert caught.value.info.reason == name
            assert dict(caught.value.info.metadata) == {"key": "ключ"}
            assert vars(caught.value) == vars(expected.value), dialect.name


def test_fault_of_ours_says_no_more_than_where_to_look(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(RunService, "GetRun", lambda *_: 1 / 0)
    with web_port(app) as port:
        answer = ask(port, GET_RUN, b"{}", JSON)
    assert answer.status == 500
    assert b"Zero" not in answer.body
    (logged,) = (record for record in caplog.records if record.exc_info)
    assert logged.getMessage().split()[-1].strip(")") in answer.body.decode()


def test_status_codes_are_those_of_connect(port: int) -> None:
    def status(path: str, request: Any) -> int:
        return ask(port, f"/runwire.v1.{path}", json.dumps(request).encode(), JSON).status

    assert status("RunService/GetRun", {"runId": hostile.RUNNING}) == 200
    assert status("RunService/GetRun", {"runId": hostile.UNKNOWN}) == 404
    assert status("RunService/GetRun", {"runId": "x"}) == 400
    assert status("RunService/GetRun", {"nonsense": 1}) == 400
    assert status("RunService/Nonsense", {}) == 501
    assert status("Nonsense/GetRun", {}) == 501
    assert status("ExperimentService/CreateExperiment", {"name": "e"}) == 409
    assert ask(port, GET_RUN, b"{}", {"content-type": "text/html"}).status == 415
    assert ask(port, GET_RUN, b"{}", {"content-type": "application/grpc"}).status == 415
    assert ask(port, GET_RUN, b"{}", {"content-type": "application/connect+json"}).status == 415
    assert ask(port, READ, b"{}", JSON).status == 415
    assert ask(port, GET_RUN, b"{}", JSON, verb="PUT").status == 405
    assert ask(port, "/runwire.v1.RunService/CreateRun").status == 405
    assert ask(port, READ).status == 405


def test_unknown_field_is_an_error_and_both_spellings_are_known(port: int) -> None:
    for body in (b'{"runId": "%s"}', b'{"run_id": "%s"}'):
        answer = ask(port, GET_RUN, body % hostile.RUNNING.encode(), JSON)
        assert json.loads(answer.body)["run"]["runId"] == hostile.RUNNING
    error = json.loads(ask(port, GET_RUN, b'{"runid": "1"}', JSON).body)
    assert '"runid"' in error["message"]
    assert error["details"][0]["debug"]["reason"] == "FIELD_INVALID"


@pytest.mark.parametrize("name", [name for name in DIALECTS if "get" not in name])
def test_stream_of_requests_is_refused_clearly(name: str, port: int) -> None:
    path = "/runwire.v1.MetricService/StreamBatches"
    with pytest.raises(WebError, match="use gRPC") as caught:
        DIALECTS[name].call(port, path, StreamBatchesRequest())
    assert (caught.value.code, caught.value.info.reason) == ("UNIMPLEMENTED", "UNIMPLEMENTED")


def test_get_has_its_request_in_the_query_however_it_is_written(port: int) -> None:
    def get(**query: Any) -> Any:
        return ask(port, f"{SEARCH}?{urllib.parse.urlencode(query)}")

    request = SearchRunsRequest(filter="tags.x = '1'", page_size=1)
    binary = request.SerializeToString()
    text = b'{"filter": "tags.x = \'1\'", "pageSize": 1}'
    packed = _b64(gzip.compress(text))
    right: list[dict[str, Any]] = [
        {"message": text, "encoding": "json"},
        {"message": text, "encoding": "json", "connect": "v1", "base64": "0"},
        {"message": _b64(text), "encoding": "json", "base64": "1"},
        {"message": packed, "encoding": "json", "base64": "1", "compression": "gzip"},
        {"message": binary, "encoding": "proto"},
        {"message": _b64(binary), "encoding": "proto", "base64": "1"},
    ]
    assert [get(**query).status for query in right] == [200] * len(right)
    wrong: list[dict[str, Any]] = [
        {"encoding": "json"},
        {"message": text},
        {"message": text, "encoding": "xml"},
        {"message": text, "encoding": "json", "connect": "v2"},
        {"message": "*", "encoding": "json", "base64": "1"},
        {"message": text, "encoding": "json", "compression": "br"},
        {str(n): "" for n in range(50)},
    ]
    for query in wrong:
        answer = get(**query)
        assert answer.status in (400, 501), query
        assert json.loads(answer.body)["details"], query


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def test_gzip_is_understood_and_used_where_it_pays(port: int) -> None:
    text = json.dumps({"runId": hostile.RUNNING}).encode()
    packed = ask(port, GET_RUN, gzip.compress(text), JSON | {"content-encoding": "gzip"})
    assert json.loads(packed.body)["run"]["runId"] == hostile.RUNNING
    assert "content-encoding" not in packed.headers
    accepts = JSON | {"accept-encoding": "br, gzip;q=0.5"}
    small = ask(port, GET_RUN, text, accepts)
    assert "content-encoding" not in small.headers
    large = ask(port, SEARCH, b'{"view": "RUN_VIEW_FULL"}', accepts)
    assert large.headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(large.body))["runs"]) >= 3
    refused = ask(port, SEARCH, b"{}", JSON | {"accept-encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers


def test_streams_in_json_are_packed_for_those_who_take_it(port: int) -> None:
    body = frame(1, gzip.compress(b'{"blob": {"digest": "%s"}}' % hostile.BLOB.digest.encode()))
    headers = {
        "content-type": "application/connect+json",
        "connect-content-encoding": "gzip",
        "connect-accept-encoding": "gzip",
    }
    answer = ask(port, DOWNLOAD, body, headers)
    (flags, data), (end, _) = frames(answer.body)
    assert (answer.headers["connect-content-encoding"], flags & 1, end) == ("gzip", 0, 2)
    assert b"chunk" in data


def test_request_at_the_limit_is_taken_and_one_above_it_is_refused(
    dialect: Dialect, port: int
) -> None:
    request = CreateModelRequest(name=f"big {dialect.name}", description="x" * 60_000)
    assert dialect.call(port, "/runwire.v1.RegistryService/CreateModel", request)
    request.description = "x" * (LIMITS.max_message_bytes + 1)
    with pytest.raises(WebError) as caught:
        dialect.call(port, "/runwire.v1.RegistryService/CreateModel", request)
    assert (caught.value.code, caught.value.info.reason) == ("RESOURCE_EXHAUSTED", "TOO_LARGE")


def test_headers_are_metadata(dialect: Dialect, port: int) -> None:
    headers = {"Runwire-User": "J%C3%BCrgen"}
    model = CreateModelRequest(name=f"by {dialect.name}")
    dialect.call(port, "/runwire.v1.RegistryService/CreateModel", model, headers)
    asked = ListModelEventsRequest(model=model.name)
    events = dialect.call(port, "/runwire.v1.RegistryService/ListModelEvents", asked)
    assert [one.actor for one in events[0].events] == ["Jürgen"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "header", "value", "bad"),
    [
        ("connect-json", "connect-timeout-ms", "0", ["x", "-1", "1" * 11, "1.5", "", "١"]),
        ("connect-get-proto", "connect-timeout-ms", "0", ["x"]),
        ("grpc-web", "grpc-timeout", "0m", ["1", "1x", "S", "-1S", "1" * 9 + "S", ""]),
    ],
)
def test_deadline_is_kept_and_a_wrong_one_is_refused(
    name: str, header: str, value: str, bad: list[str], port: int
) -> None:
    request = GetRunRequest(run_id=hostile.RUNNING)
    with pytest.raises(WebError) as caught:
        DIALECTS[name].call(port, GET_RUN, request, {header: value})
    assert caught.value.code == "DEADLINE_EXCEEDED"
    for one in bad:
        with pytest.raises(WebError) as caught:
            DIALECTS[name].call(port, GET_RUN, request, {header: one.encode()})
        assert caught.value.info.metadata["field"] == header
    assert DIALECTS[name].call(port, GET_RUN, request, {header: value.replace("0", "10000")})


def test_calls_are_counted_and_refusals_with_them(app: App) -> None:
    seen: list[tuple[str, str]] = []
    with web_port(app, lambda method, code, _: seen.append((method, code))) as port:
        ask(port, GET_RUN, b'{"runId": "%s"}' % hostile.RUNNING.encode(), JSON)
        ask(port, GET_RUN, b'{"runId": "x"}', JSON)
        ask(port, GET_RUN, b"nonsense", JSON)
        ask(port, "/runwire.v1.RunService/Nonsense", b"{}", JSON)
    assert seen == [(GET_RUN, "OK"), (GET_RUN, "INVALID_ARGUMENT"), (GET_RUN, "INVALID_ARGUMENT")]
