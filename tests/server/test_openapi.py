"""The OpenAPI document describes what the web port answers, and is valid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, message_factory
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from runwire_server.app import App
from runwire_server.inprocess import InProcessServer
from runwire_server.interceptors import CallInterceptor

from server import hostile
from server.web_client import ask, web_port

JSON = {"content-type": "application/json"}


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    app = App(f"sqlite:///{tmp_path / 'x.db'}", str(tmp_path / "blobs"), pool_size=4)
    with closing(app), web_port(app) as found:
        local = InProcessServer([CallInterceptor()])
        app.register(local)
        hostile.seed(lambda path, request: _call(local, path, request))
        yield found


def _call(server: InProcessServer, path: str, request: Any) -> Any:
    return server.channel.unary_unary(
        path,
        lambda message: message.SerializeToString(),
        message_factory.GetMessageClass(hostile.METHODS[path].output_type).FromString,
    )(request)


def test_document_is_valid_and_names_every_unary_method(port: int) -> None:
    answer = ask(port, "/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    document = json.loads(answer.body)
    validate(document)
    assert sorted(document["paths"]) == sorted(hostile.UNARY)
    for path, operations in document["paths"].items():
        reads = hostile.METHODS[path].GetOptions().idempotency_level == 1
        assert sorted(operations) == (["get", "post"] if reads else ["post"]), path
        assert all(operation["description"] for operation in operations.values()), path


def test_requests_and_answers_are_as_the_document_says(port: int) -> None:
    document = json.loads(ask(port, "/openapi.json").body)
    answered = 0
    for path in hostile.UNARY:
        operation = document["paths"][path]["post"]
        request = json.loads(json_format.MessageToJson(hostile.plain(_input(path))))
        _check(document, operation["requestBody"], request)
        answer = ask(port, path, json.dumps(request).encode(), JSON)
        kind = "200" if answer.status == 200 else "default"
        _check(document, operation["responses"][kind], json.loads(answer.body))
        answered += answer.status == 200
    assert answered > len(hostile.UNARY) / 2


def _input(path: str) -> Any:
    return hostile.METHODS[path].input_type


def _check(document: Any, place: Any, value: Any) -> None:
    schema = place["content"]["application/json"]["schema"]
    whole = {"components": document["components"], **schema}
    Draft202012Validator(whole).validate(value)
