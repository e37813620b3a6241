"""The corpus of hostile paths against every command, and ids that are made to be paths.

What the calls themselves refuse is in ``contract/test_artifact.py``, the fluent functions in
``test_fluent_artifact.py``, a server that lists such paths in ``test_artifact.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import backends
import hostile_paths
import pytest
import runwire
from runwire._artifact_rules import problem_of
from runwire._command import main
from runwire.v1.artifact_pb2 import Artifact, Blob
from runwire.v1.artifact_service_pb2 import UploadBlobRequest

SECRET = "untouched and unread"
# Where the paths of the corpus would lead, from the folder that a test works in.
CANARIES = ("canary", "../canary", "out/../canary", "a/canary", "etc/passwd")
Command = Callable[..., int]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, with canaries in and above it that are as they were at the end."""
    work = tmp_path / "above" / "work"
    (work / "out").mkdir(parents=True)
    canaries = [work / name for name in CANARIES]
    for canary in canaries:
        canary.parent.mkdir(parents=True, exist_ok=True)
        canary.write_text(SECRET)
    (work / "file").write_text("x")
    monkeypatch.chdir(work)
    before = _files(work.parent)
    yield work
    assert _files(work.parent) == before
    assert {canary.read_text() for canary in canaries} == {SECRET}


def _files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.fixture
def command(server: backends.Server) -> Command:
    return lambda *arguments: main([*arguments, "--tracking-uri", server.uri])


def _refused() -> list[str]:
    """A slash at the end is left out where a directory is meant: ``ls model/``."""
    return [path for path in hostile_paths.REFUSED if problem_of(path.removesuffix("/") or "a")]


COMMANDS: dict[str, Callable[[str, str], list[str]]] = {
    "ls": lambda run_id, path: ["artifacts", "ls", run_id, path],
    "ls_recursive": lambda run_id, path: ["artifacts", "ls", run_id, path, "-r"],
    "get": lambda run_id, path: ["artifacts", "get", run_id, path],
    "get_of_model": lambda _, path: ["artifacts", "get", "models:/m/1", path, "-o", "out"],
    "put": lambda run_id, path: ["artifacts", "put", run_id, "file", path],
    "put_folder": lambda run_id, path: ["artifacts", "put", run_id, "a", path],
    "rm": lambda run_id, path: ["artifacts", "rm", run_id, path],
    "register": lambda run_id, path: ["models", "register", "m", run_id, path],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_hostile_path_is_refused_by_every_command_that_takes_one(
    work: Path,
    client: runwire.Client,
    command: Command,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    run_id = client.runs.create().run_id
    client.artifacts.put(run_id, b"before", "before")
    client.models.create_version("m", source_run_id=run_id, create_model=True)
    for path in _refused():
        capsys.readouterr()
        code = command(*COMMANDS[name](run_id, path))
        said = "".join(capsys.readouterr())
        assert code != 0, path
        assert SECRET not in said
        assert "Traceback" not in said
    assert [one.path for one in client.artifacts.list(run_id, recursive=True)] == ["before"]
    assert client.models.get_version("m", 1).version == 1


def test_path_in_a_uri_is_refused(
    work: Path, client: runwire.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = client.runs.create().run_id
    client.artifacts.put(run_id, b"before", "before")
    monkeypatch.setenv("RUNWIRE_TRACKING_URI", client.tracking_uri)
    for path in hostile_paths.REFUSED:
        uri = f"runs:/{run_id}/x/{path}/y"
        for read in (runwire.load_text, runwire.load_dict, runwire.load_image):
            with pytest.raises((runwire.InvalidArgumentError, runwire.NotFoundError)):
                read(uri)
        with pytest.raises((runwire.InvalidArgumentError, runwire.NotFoundError)):
            runwire.artifacts.download_artifacts(uri, dst_path="out")


IDS = (
    "..", "../..", "../../canary", "/etc", "default/../../canary", "a\\..\\..", "%2e%2e",
    "\uff0e\uff0e", ".", "CON", "a/b", "x" * 255, "0" * 31 + "/", f"../{'0' * 29}",
)  # fmt: skip


@pytest.mark.parametrize("name", IDS)
def test_ids_are_never_paths(work: Path, client: runwire.Client, name: str) -> None:
    """Upload ids, digests and workspaces become names in the store, or are refused."""
    with pytest.raises(runwire.NotFoundError):
        client.artifacts.get_upload(name)
    opening = UploadBlobRequest.Open(upload_id=name, blob=Blob(size_bytes=1))
    with pytest.raises(runwire.NotFoundError):
        next(client.artifacts.upload_blob([UploadBlobRequest(open=opening)]))
    for digest in (name, f"sha256:{name}", f"sha256:{'0' * 60}/../"):
        with pytest.raises((runwire.InvalidArgumentError, runwire.NotFoundError)):
            client.artifacts.download(digest=digest)
        with pytest.raises(runwire.InvalidArgumentError):
            client.artifacts.find_missing_blobs([Blob(digest=digest, size_bytes=1)])
    run_id = client.runs.create().run_id
    blob = Blob(digest=f"sha256:{name}", size_bytes=1)
    with pytest.raises((runwire.InvalidArgumentError, runwire.FailedPreconditionError)):
        client.artifacts.commit(run_id, [Artifact(path="a", blob=blob)])


@pytest.mark.parametrize("workspace", IDS)
def test_workspace_of_any_name_keeps_its_blobs_to_itself(
    work: Path, client: runwire.Client, workspace: str
) -> None:
    experiment = client.experiments.create("e", workspace=workspace)
    run_id = client.runs.create(experiment_id=experiment.experiment_id).run_id
    client.artifacts.put(run_id, b"bytes", "a", workspace=workspace)
    assert client.artifacts.download(run_id, "a").read() == b"bytes"
    (held,) = client.artifacts.list(run_id)
    with pytest.raises(runwire.NotFoundError):
        client.artifacts.download(digest=held.blob.digest)
