"""What the protos and the code generated from them promise beyond what buf checks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import MethodDescriptor
from test_parity import METHODS

ROOT = Path(__file__).parents[1]
GENERATED = ROOT / "client" / "python" / "runwire" / "v1"
UNKNOWN = descriptor_pb2.MethodOptions.IDEMPOTENCY_UNKNOWN


def _oldest(package: str) -> tuple[int, ...]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (found,) = (
        re.match(rf"{package}>=([\d.]+)", one)
        for one in project["dependencies"]
        if one.startswith(package)
    )
    assert found is not None
    return tuple(map(int, found[1].split(".")))


def _made_for(pattern: str) -> set[tuple[int, ...]]:
    text = "".join(path.read_text() for path in sorted(GENERATED.glob("*.py")))
    return {tuple(map(int, version.split("."))) for version in re.findall(pattern, text)}


def test_generated_code_loads_on_the_oldest_supported_packages() -> None:
    # Generated code refuses a runtime older than its generator.
    (protobuf,) = _made_for(r"# Protobuf Python Version: ([\d.]+)")
    (grpcio,) = _made_for(r"GRPC_GENERATED_VERSION = '([\d.]+)'")
    assert protobuf[:2] <= _oldest("protobuf")
    assert grpcio[:2] <= _oldest("grpcio")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_rpc_says_whether_it_may_be_sent_again(method: MethodDescriptor) -> None:
    """Clients make their retries from it. A stream of requests is never sent again."""
    options = descriptor_pb2.MethodDescriptorProto()
    method.CopyToProto(options)
    assert (options.options.idempotency_level == UNKNOWN) == options.client_streaming


def test_protos_build_with_nothing_but_protoc() -> None:
    for path in sorted((ROOT / "protos").rglob("*.proto")):
        for name in re.findall(r'^import "(.+)";', path.read_text(), re.MULTILINE):
            assert name.startswith(("google/protobuf/", "runwire/v1/")), path.name


def test_every_generated_file_has_its_proto() -> None:
    protos = {path.stem for path in (ROOT / "protos" / "runwire" / "v1").glob("*.proto")}
    made = {path.name.split("_pb2")[0] for path in GENERATED.glob("*_pb2*")}
    assert made == protos
