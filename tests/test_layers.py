"""Who may import whom. The rules are data; everything else here reads them.

Imports inside functions count as well: a layer that is reached late is reached.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "client" / "python" / "runwire"
SERVER = ROOT / "server" / "runwire_server"
CONTRACT = ROOT / "tests" / "contract"

# Layer -> the layers of the server that it may import. Everybody may import runwire.v1.
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "limits": {"errors"},
    "retry": {"errors"},
    "settings": set(),
    "telemetry": set(),
    "allocator": set(),
    # One layer in two packages: the engine keeps its tables in the store's transactions,
    # and search reads the engine's summaries.
    "store": {"errors", "limits", "retry", "metrics"},
    "metrics": {"errors", "limits", "retry", "store"},
    "blobs": {"errors"},
    "services": {"errors", "limits", "retry", "store", "metrics", "blobs"},
    "lost_runs": {"retry", "store"},
    "interceptors": {"errors", "retry"},
    "inprocess": {"errors", "interceptors", "limits"},
    "pools": {"settings"},
    "transport": {"app", "errors", "interceptors", "limits", "pools", "settings"},
    "web": {"app", "errors", "inprocess", "interceptors", "limits", "pools", "settings"},
    "app": {
        *("blobs", "errors", "inprocess", "interceptors", "limits"),
        *("lost_runs", "metrics", "services", "settings", "store"),
    },
    "gc": {"errors", "metrics", "retry", "store"},
    "gc_registry": {"retry", "store"},
    "gc_blobs": {"blobs", "retry", "store"},
    "workers": {"__main__", "app", "pools", "settings", "telemetry"},
    "__main__": {
        *("allocator", "app", "errors", "pools", "settings", "telemetry", "transport", "web"),
        "workers",
    },
}
# Layer -> what it may import of others' packages, beside the standard library.
PACKAGES: dict[str, set[str]] = {
    "errors": {"google.rpc"},
    "telemetry": {"prometheus_client"},
    "store": {"sqlalchemy", "alembic", "google.protobuf"},
    "metrics": {"sqlalchemy", "numpy", "pcodec", "google_crc32c", "google.rpc", "google.protobuf"},
    "blobs": {"fsspec", "s3fs", "google_crc32c", "zstandard"},
    "services": {"grpc", "google.protobuf"},
    "interceptors": {"grpc", "google.rpc"},
    "inprocess": {"grpc"},
    "transport": {"grpc", "grpc_health", "grpc_reflection"},
    "web": {"starlette", "uvicorn", "grpc", "google.protobuf", "google.rpc"},
}
# These tell their version, which the client's package knows.
TELL_THEIR_VERSION = {"settings", "services"}

# What a training job installs, and what is used only where the user has it or installed an extra.
CLIENT_REQUIRES = {"grpc", "google.protobuf"}
CLIENT_USES_LATE = {
    *("numpy", "pandas", "pyarrow", "matplotlib", "PIL", "yaml", "psutil", "google_crc32c"),
    "zstandard",
}
COMMAND_REQUIRES = {"rich"}
# Local mode, and the commands that run on the server's side.
REACH_THE_SERVER_LATE = ("_connect", "_uploader", "_command")

# Data that every test may read is theirs, too.
CONTRACT_USES = {"runwire", "pytest", "hypothesis", "numpy", "pandas", "hostile_paths"}


@dataclass(frozen=True)
class Import:
    name: str  # dotted, with the name that is imported from a module at its end
    late: bool  # inside a function, or for type checkers only
    place: str

    def __str__(self) -> str:
        return f"{self.place} imports {self.name}"

    @property
    def package(self) -> str:
        """The distribution's part of the name: "grpc", "google.rpc", "runwire.v1"."""
        parts = self.name.split(".")
        return ".".join(parts[:2]) if parts[0] == "google" else parts[0]

    @property
    def is_standard(self) -> bool:
        return self.package in sys.stdlib_module_names

    def is_of(self, module: str) -> bool:
        return f"{self.name}.".startswith(f"{module}.")


def imports(path: Path, source: str | None = None) -> list[Import]:
    tree = ast.parse(path.read_text() if source is None else source)
    place = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
    return [
        Import(name, late, f"{place}:{line}") for name, line, late in _walk(tree, path, late=False)
    ]


def _walk(node: ast.AST, path: Path, late: bool) -> Iterator[tuple[str, int, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, child.lineno, late) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = _absolute(child, path)
            yield from ((f"{base}.{alias.name}", child.lineno, late) for alias in child.names)
        elif isinstance(child, ast.Call) and ast.unparse(child.func).endswith("import_module"):
            names = [arg.value for arg in child.args if isinstance(arg, ast.Constant)]
            yield from ((str(name), child.lineno, late) for name in names)
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield from _walk(child, path, late or is_function or is_typing)


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    if not node.level:
        return node.module or ""
    package = path.parents[node.level - 1].relative_to(path.parents[node.level - 1].anchor)
    for root in (CLIENT.parent, SERVER.parent, ROOT / "tests"):
        if path.is_relative_to(root):
            package = path.parents[node.level - 1].relative_to(root)
    return ".".join((*package.parts, *([node.module] if node.module else [])))


def layer_of(path: Path) -> str:
    return path.relative_to(SERVER).parts[0].removesuffix(".py")


def server_faults(layer: str, found: list[Import]) -> list[Import]:
    """The imports of a server module that its layer may not have."""
    return [one for one in found if not (one.is_standard or _server_may(layer, one))]


def _server_may(layer: str, one: Import) -> bool:
    if one.is_of("runwire_server"):
        other = [*one.name.split("."), ""][1]
        return layer in ("", "__init__") or other == layer or other in LAYERS[layer]
    if one.is_of("runwire"):
        of_version = layer in TELL_THEIR_VERSION and one.name == "runwire"
        return one.is_of("runwire.v1") or of_version
    return one.package in PACKAGES.get(layer, set())


def client_faults(stem: str, found: list[Import]) -> list[Import]:
    """The imports of a client module that it may not have. ``stem``: "_run", "_command"."""
    return [one for one in found if not (one.is_standard or _client_may(stem, one))]


def _client_may(stem: str, one: Import) -> bool:
    if one.is_of("runwire_server"):
        return one.late and stem.startswith(REACH_THE_SERVER_LATE)
    if stem == "_command" and one.package in COMMAND_REQUIRES:
        return True
    return (
        one.package in CLIENT_REQUIRES
        or one.is_of("runwire")
        or (one.late and one.package in CLIENT_USES_LATE)
    )


def _modules(root: Path) -> list[Path]:
    return [path for path in sorted(root.rglob("*.py")) if path.parent != CLIENT / "v1"]


def _shown(faults: list[Import]) -> str:
    return "\n".join(map(str, faults))


@pytest.mark.parametrize("path", _modules(SERVER), ids=lambda path: str(path.relative_to(SERVER)))
def test_server_module_imports_only_what_its_layer_may(path: Path) -> None:
    faults = server_faults(layer_of(path), imports(path))
    assert not faults, _shown(faults)


@pytest.mark.parametrize("path", _modules(CLIENT), ids=lambda path: str(path.relative_to(CLIENT)))
def test_client_module_imports_no_server_and_no_package_that_is_not_installed(path: Path) -> None:
    stem = path.relative_to(CLIENT).parts[0].removesuffix(".py")
    faults = client_faults(stem, imports(path))
    assert not faults, _shown(faults)


def test_services_use_grpc_for_the_context_type_only() -> None:
    for path in _modules(SERVER / "services"):
        tree = ast.parse(path.read_text())
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "grpc"
        }
        used |= {one.name.removeprefix("grpc.") for one in imports(path) if one.is_of("grpc")}
        assert used <= {"ServicerContext", "grpc"}, path.name


def test_generated_code_imports_nothing_of_ours() -> None:
    for path in sorted((CLIENT / "v1").glob("*.py")):
        for one in imports(path):
            assert one.is_standard or one.is_of("runwire.v1") or one.package in CLIENT_REQUIRES, one


def test_contract_tests_know_nothing_but_the_public_client() -> None:
    for path in _modules(CONTRACT):
        for one in imports(path):
            private = one.is_of("runwire") and any(
                part.startswith("_") and not part.startswith("__") for part in one.name.split(".")
            )
            assert not private, one
            assert one.is_standard or one.package in CONTRACT_USES or one.is_of("contract"), one


def test_importing_runwire_loads_neither_grpc_nor_anything_heavy() -> None:
    heavy = ["grpc", "google.protobuf", "numpy", "pandas", "matplotlib", "rich", "runwire_server"]
    code = f"import sys, runwire; print(*(name for name in {heavy} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("store", "import grpc"),
        ("store", "def late():\n    from runwire_server.services.run import RunService"),
        ("services", "import sqlalchemy as sa"),
        ("services", "from fsspec.core import url_to_fs"),
        ("blobs", "from runwire_server.store import run"),
        ("transport", "from runwire_server.store.database import Database"),
        ("errors", "from runwire_server import limits"),
        ("metrics", "from runwire._journal import Journal"),
    ],
)
def test_rules_find_a_forbidden_import_of_the_server(layer: str, source: str) -> None:
    assert server_faults(layer, imports(SERVER / "x.py", source))


@pytest.mark.parametrize(
    ("stem", "source"),
    [
        ("_connect", "from runwire_server.app import open_local"),
        ("_run", "def late():\n    from runwire_server.app import open_local"),
        ("_run", "import pandas"),
        ("_errors", "from google.rpc import error_details_pb2"),
        ("_fluent", "def late():\n    import requests"),
        ("_fluent", "def late():\n    importlib.import_module('requests')"),
    ],
)
def test_rules_find_a_forbidden_import_of_the_client(stem: str, source: str) -> None:
    assert client_faults(stem, imports(CLIENT / "x.py", source))


def test_rules_allow_local_mode() -> None:
    late = "def open(uri):\n    from runwire_server.app import open_local"
    assert not client_faults("_connect", imports(CLIENT / "_connect.py", late))
