"""Every RPC in every layer: the service, the client, a contract test; every reason in a test.

The names follow from the RPC: ``RunService.CreateRun`` is ``RunService.CreateRun`` in
``services/run.py`` and ``client.runs.create``. What does not follow is written down here.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import runwire
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from runwire.v1 import (
    artifact_service_pb2,
    error_pb2,
    experiment_service_pb2,
    metric_service_pb2,
    registry_service_pb2,
    run_service_pb2,
    server_service_pb2,
)
from runwire_server import errors

TESTS = Path(__file__).parent

# Service -> (its module in services/, its noun on the client).
SERVICES: dict[ServiceDescriptor, tuple[str, str]] = {
    experiment_service_pb2.DESCRIPTOR.services_by_name["ExperimentService"]: (
        "experiment",
        "experiments",
    ),
    run_service_pb2.DESCRIPTOR.services_by_name["RunService"]: ("run", "runs"),
    metric_service_pb2.DESCRIPTOR.services_by_name["MetricService"]: ("metric", "metrics"),
    artifact_service_pb2.DESCRIPTOR.services_by_name["ArtifactService"]: ("artifact", "artifacts"),
    registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"]: ("model", "models"),
    server_service_pb2.DESCRIPTOR.services_by_name["ServerService"]: ("server", ""),
}
# Left out of an RPC's name to get the verb: create_model_version -> create_version.
NOUN = re.compile(r"_(experiment|run|serie|metric|artifact|model)s?(?=_|$)")
# Where the client says it otherwise: RPC -> attribute of the client.
SAID_OTHERWISE = {
    "GetServerInfo": "server_info",
}

METHODS = [method for service in SERVICES for method in service.methods]
REASONS = [
    name.removeprefix("ERROR_REASON_")
    for name in error_pb2.ErrorReason.DESCRIPTOR.values_by_name
    if name != "ERROR_REASON_UNSPECIFIED"
]


def client_path(method: MethodDescriptor) -> str:
    """The method's name on the client: "runs.create"."""
    if method.name in SAID_OTHERWISE:
        return SAID_OTHERWISE[method.name]
    _, noun = SERVICES[method.containing_service]
    verb = re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower()
    return f"{noun}.{NOUN.sub('', verb)}"


def service_class(method: MethodDescriptor) -> type:
    module, _ = SERVICES[method.containing_service]
    found = importlib.import_module(f"runwire_server.services.{module}")
    made: type = getattr(found, method.containing_service.name)
    return made


def attributes_used(sources: Iterable[str], root: str = "client") -> set[str]:
    """Every "runs.create" of a ``client.runs.create`` in the sources."""
    used = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute):
                path = ast.unparse(node)
                if path.startswith(f"{root}."):
                    used.add(path.removeprefix(f"{root}."))
    return used


def reasons_asserted(sources: Iterable[str]) -> set[str]:
    """Reasons that tests name: as a string, or by the error's class in ``raises``."""
    by_class = {error.__name__: error.reason for error in error_classes()}
    found = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and node.value in REASONS:
                found.add(str(node.value))
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("raises"):
                names = re.findall(r"\w+", " ".join(map(ast.unparse, node.args)))
                found |= {by_class[name] for name in names if name in by_class}
    return found


def error_classes() -> list[type[errors.ServiceError]]:
    return [
        error
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.ServiceError)
    ]


def _sources(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.rglob("*.py") if path != Path(__file__)]


@pytest.fixture(scope="module")
def any_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[runwire.Client]:
    with runwire.Client(f"sqlite:///{tmp_path_factory.mktemp('parity')}/any.db") as client:
        yield client


@pytest.fixture(scope="module")
def used_by_contract() -> set[str]:
    return attributes_used(_sources(TESTS / "contract"))


@pytest.fixture(scope="module")
def asserted() -> set[str]:
    return reasons_asserted(_sources(TESTS))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_rpc_has_a_service_method(method: MethodDescriptor) -> None:
    assert method.name in vars(service_class(method))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_rpc_has_a_client_method(method: MethodDescriptor, any_client: runwire.Client) -> None:
    found: object = any_client
    for name in client_path(method).split("."):
        found = getattr(found, name)
    assert callable(found)
    assert found.__doc__, f"client.{client_path(method)} says nothing about itself"


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_rpc_has_a_contract_test(method: MethodDescriptor, used_by_contract: set[str]) -> None:
    assert client_path(method) in used_by_contract


@pytest.mark.parametrize("reason", REASONS)
def test_reason_is_asserted_by_a_test(reason: str, asserted: set[str]) -> None:
    assert reason in asserted


def test_every_reason_has_an_error_class_and_the_other_way_round() -> None:
    assert {error.reason for error in error_classes()} == set(REASONS)


def test_names_follow_from_the_rpc() -> None:
    paths = {method.name: client_path(method) for method in METHODS}
    assert paths["CreateExperiment"] == "experiments.create"
    assert paths["ReadSeries"] == "metrics.read"
    assert paths["LogBatch"] == "metrics.log_batch"
    assert paths["SearchModelVersions"] == "models.search_versions"
    assert paths["SetModelAlias"] == "models.set_alias"
    assert len(set(paths.values())) == len(paths)


def test_checks_can_fail() -> None:
    sources = ["client.runs.get('x')", "with pytest.raises(errors.RunSealed): pass\nx = 'DELETED'"]
    assert attributes_used(sources) == {"runs.get", "runs"}
    assert reasons_asserted(sources) == {"RUN_SEALED", "DELETED"}
