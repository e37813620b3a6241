"""Artifacts and models through the fluent API."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import backends
import hostile_paths
import pytest
import runwire
from runwire._artifact_rules import problem_of
from runwire._artifact_uri import parse

from client.sessions import session


@pytest.fixture(autouse=True)
def fluent(server: backends.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with session(server, monkeypatch):
        yield


def _paths(run_id: str) -> list[str]:
    runwire.flush()
    with runwire.Client() as client:
        return [one.path for one in client.artifacts.list(run_id, recursive=True)]


# Logging ----------------------------------------------------------------------------------


def test_file_is_logged_under_its_name_and_may_go_at_once(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"bytes")
    with runwire.start_run() as run:
        runwire.log_artifact("model.bin")
        runwire.log_artifact(file, artifact_path="models/deep")
        file.unlink()
    assert _paths(run.run_id) == ["model.bin", "models/deep/model.bin"]
    path = runwire.download_artifacts(run_id=run.run_id, artifact_path="model.bin")
    assert Path(path).read_bytes() == b"bytes"


def test_folder_is_logged_with_all_in_it(tmp_path: Path) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "a.txt").write_text("a")
    (tmp_path / "out" / "deep" / "b.txt").write_text("b")
    with runwire.start_run() as run:
        runwire.log_artifacts("out")
        runwire.log_artifacts(tmp_path / "out", artifact_path="again")
        runwire.log_artifact("out", artifact_path="whole")
    assert _paths(run.run_id) == [
        "a.txt",
        "again/a.txt",
        "again/deep/b.txt",
        "deep/b.txt",
        "whole/out/a.txt",
        "whole/out/deep/b.txt",
    ]


def test_what_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with runwire.start_run() as run:
        with pytest.raises(FileNotFoundError):
            runwire.log_artifact("nothing")
        with pytest.raises(NotADirectoryError):
            runwire.log_artifacts("file")
    assert _paths(run.run_id) == []


def test_hostile_path_is_refused_by_every_function_that_takes_one(tmp_path: Path) -> None:
    """Before anything is spooled. Backslashes are slashes here: a path of Windows is one."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "canary").write_text("untouched")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("x")
    with runwire.start_run() as run:
        calls: list[Callable[[str], object]] = [
            lambda path: runwire.log_artifact("file", path),
            lambda path: runwire.log_artifact("folder", path),
            lambda path: runwire.log_artifacts("folder", path),
            lambda path: runwire.log_bytes(b"x", path),
            lambda path: runwire.log_text("x", path),
            lambda path: runwire.log_dict({}, path),
            lambda path: runwire.log_figure(None, path),
            lambda path: runwire.log_image(None, f"{path}/x.png"),
            lambda path: runwire.log_image(None, key=path),
            lambda path: runwire.log_table({}, f"{path}/x.json"),
            lambda path: runwire.get_artifact_uri(path),
            lambda path: runwire.load_table(path, [run.run_id]),
            lambda path: runwire.artifacts.list_artifacts(run_id=run.run_id, artifact_path=path),
            lambda path: runwire.download_artifacts(
                run_id=run.run_id, artifact_path=path, dst_path="out"
            ),
        ]
        as_slashes = (path.replace("\\", "/") for path in hostile_paths.REFUSED)
        for path in sorted({path for path in as_slashes if _is_refused(path)}):
            for call in calls:
                with pytest.raises(runwire.InvalidArgumentError):
                    call(path)
    assert _paths(run.run_id) == []
    assert (tmp_path / "canary").read_text() == "untouched"
    assert not (tmp_path / "out").exists()


def _is_refused(path: str) -> bool:
    """Slashes at the end are left out: ``models/`` is what people write."""
    return bool(problem_of(path.rstrip("/") or "/")) and path != ""


def test_what_is_no_file_is_refused_and_not_read_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with runwire.start_run() as run:
        for local in ("pipe", "/dev/zero"):
            with pytest.raises(runwire.InvalidArgumentError, match="not a file"):
                runwire.log_artifact(local)
    assert _paths(run.run_id) == []


def test_link_to_a_file_is_followed_and_link_to_a_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "canary").write_text("unread")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").symlink_to(tmp_path / "elsewhere" / "canary")
    (tmp_path / "out" / "folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "out" / "loop").symlink_to(tmp_path / "out")
    os.mkfifo(tmp_path / "out" / "pipe")
    with runwire.start_run() as run:
        runwire.log_artifacts("out")
    assert _paths(run.run_id) == ["file"]


def test_file_that_cannot_be_logged_does_not_keep_back_the_others(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name in ("a", "b\\c", "d%2fe", "z"):
        (tmp_path / "out" / name).write_text(name)
    (tmp_path / "out" / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "out" / os.fsdecode(b"\xff")).write_text("no Unicode")
    with runwire.start_run() as run:
        with pytest.raises(runwire.InvalidArgumentError, match="backslash") as caught:
            runwire.log_artifacts("out")
        with pytest.raises(runwire.InvalidArgumentError, match="backslash"):
            runwire.log_artifact(tmp_path / "out" / "b\\c")
    assert caught.value.__notes__ == ["4 files of out were not logged, the others were"]
    assert _paths(run.run_id) == ["a", "z"]


def test_text_dict_and_bytes_are_read_as_they_were_logged() -> None:
    document = {"a": [1, 2.5, None], "ü": {"deep": True}}
    with runwire.start_run() as run:
        runwire.log_text("# Größe\n", "report.md")
        runwire.log_dict(document, "config.json")
        runwire.log_dict(document, "conf/config.yaml")
        runwire.log_bytes(b"\0\1", "raw.bin")
        uri = runwire.get_artifact_uri("report.md")
        assert uri == f"runs:/{run.run_id}/report.md"
        assert runwire.load_text(uri) == "# Größe\n", "a run can read itself while it runs"
    assert runwire.load_dict(f"runs:/{run.run_id}/config.json") == document
    assert runwire.load_dict(f"runs:/{run.run_id}/conf/config.yaml") == document
    assert runwire.load_text(f"runs:/{run.run_id}/conf/config.yaml").startswith("a:\n")
    names = [one.path for one in runwire.list_artifacts(run_id=run.run_id)]
    assert names == ["conf", "config.json", "raw.bin", "report.md"]


def test_numbers_of_numpy_stay_numbers_and_yaml_keeps_its_own_types() -> None:
    import datetime

    import numpy as np

    logged = {"a": np.float32(0.5), "b": np.arange(3), "c": {1, 2}.__class__.__name__}
    day = {1: "one", "day": datetime.date(2024, 2, 29), "x": [1e-05, float("inf")]}
    with runwire.start_run() as run:
        runwire.log_dict(logged, "a.json")
        runwire.log_dict(logged, "a.yaml")
        runwire.log_dict(day, "b.yml")
    for name in ("a.json", "a.yaml"):
        found = runwire.load_dict(f"runs:/{run.run_id}/{name}")
        assert found == {"a": 0.5, "b": [0, 1, 2], "c": "set"}
    assert runwire.load_dict(f"runs:/{run.run_id}/b.yml") == day


def test_listing_tells_files_from_directories() -> None:
    with runwire.start_run() as run:
        runwire.log_text("abc", "deep/x.txt")
        runwire.log_text("", "empty")
    listed = runwire.artifacts.list_artifacts(f"runs:/{run.run_id}")
    assert [(one.path, one.is_dir, one.file_size) for one in listed] == [
        ("deep", True, None),
        ("empty", False, 0),
    ]
    (one,) = runwire.artifacts.list_artifacts(run_id=run.run_id, artifact_path="deep")
    assert one.digest.startswith("sha256:ba7816bf")


def test_text_that_is_none_is_told_at_once() -> None:
    with runwire.start_run() as run:
        with pytest.raises(TypeError, match="log_dict"):
            runwire.log_text({"a": 1}, "x.txt")  # type: ignore[arg-type]
        with pytest.raises(runwire.InvalidArgumentError, match="Unicode"):
            runwire.log_text("a\ud800", "x.txt")
        for nothing in ("", None, "/"):
            with pytest.raises(runwire.InvalidArgumentError):
                runwire.log_text("x", nothing)  # type: ignore[arg-type]
    assert _paths(run.run_id) == []


def test_yaml_without_pyyaml_is_still_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "yaml", None)
    with runwire.start_run() as run:
        runwire.log_dict({"a": 1}, "config.yaml")
    assert json.loads(runwire.load_text(f"runs:/{run.run_id}/config.yaml")) == {"a": 1}


def test_figures_of_matplotlib_and_plotly_are_saved_by_their_suffix() -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2, 3])
    plotly = SimpleNamespace(to_html=lambda **_: "<html>", to_image=lambda **_: b"image")
    with runwire.start_run() as run:
        runwire.log_figure(figure, "plots/a.png", save_kwargs={"dpi": 30})
        runwire.log_figure(figure, "a.svg")
        runwire.log_figure(plotly, "p.html")
        runwire.log_figure(plotly, "p.png")
        with pytest.raises(TypeError, match="matplotlib or plotly"):
            runwire.log_figure("no figure", "x.png")
    assert runwire.load_image(f"runs:/{run.run_id}/plots/a.png").format == "PNG"
    assert "<svg" in runwire.load_text(f"runs:/{run.run_id}/a.svg")
    assert runwire.load_text(f"runs:/{run.run_id}/p.html") == "<html>"


# Reading ----------------------------------------------------------------------------------


def test_download_takes_a_place_or_makes_one(tmp_path: Path) -> None:
    with runwire.start_run() as run:
        runwire.log_text("x", "deep/x.txt")
    root = runwire.artifacts.download_artifacts(f"runs:/{run.run_id}", dst_path="here")
    assert Path(root) == tmp_path / "here"
    assert (tmp_path / "here" / "deep" / "x.txt").read_text() == "x"
    other = runwire.download_artifacts(f"runs:/{run.run_id}/deep")
    assert Path(other, "x.txt").read_text() == "x"
    with pytest.raises(runwire.NotFoundError):
        runwire.download_artifacts(f"runs:/{run.run_id}/nothing")
    with pytest.raises(runwire.InvalidArgumentError, match="exactly one"):
        runwire.download_artifacts()


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        (f"runs:/{'a' * 32}", ("a" * 32, "", "")),
        (f"runs:/{'a' * 32}/x/y", ("a" * 32, "", "x/y")),
        ("models:/m/3", ("", "m/3", "")),
        ("models:/m/latest/a.bin", ("", "m/latest", "a.bin")),
        ("models:/m@champion", ("", "m@champion", "")),
        ("models:/m@champion/a/b", ("", "m@champion", "a/b")),
    ],
)
def test_artifact_uri_is_taken_apart(uri: str, found: tuple[str, str, str]) -> None:
    assert parse(uri) == found


@pytest.mark.parametrize(
    "uri", ["", "x", "s3://b/k", "runs:/", "runs:/short", "models:/m", "runs://host/x"]
)
def test_artifact_uri_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(runwire.InvalidArgumentError):
        parse(uri)


# Models -----------------------------------------------------------------------------------


def test_model_is_registered_from_a_run_and_found_by_every_reference() -> None:
    with runwire.start_run() as run:
        runwire.log_text("weights", "model/weights.txt")
        version = runwire.register_model(f"runs:/{run.run_id}/model", "fraud", tags={"a": 1})
    assert (version.name, version.version, version.status) == ("fraud", 1, "READY")
    assert (version.run_id, version.source) == (run.run_id, f"runs:/{run.run_id}/model")
    assert version.tags == {"a": "1"}
    with runwire.Client() as client:
        client.models.set_alias("fraud", "champion", 1)
        client.models.transition_version("fraud", 1, "production")
    for reference in ("fraud/1", "fraud@champion", "fraud/production", "fraud/latest"):
        folder = runwire.download_artifacts(f"models:/{reference}")
        assert Path(folder, "weights.txt").read_text() == "weights"
        assert runwire.load_text(f"models:/{reference}/weights.txt") == "weights"
    again = runwire.register_model(f"runs:/{run.run_id}/model", "fraud")
    assert again.version == 2


def test_model_elsewhere_is_only_noted() -> None:
    version = runwire.register_model("s3://bucket/model", "noted")
    assert version.source == "s3://bucket/model"
    with pytest.raises(runwire.NotFoundError, match="s3://bucket/model"):
        runwire.download_artifacts("models:/noted/1")


def test_version_is_copied_to_another_model() -> None:
    with runwire.start_run() as run:
        runwire.log_text("weights", "model/weights.txt")
        runwire.register_model(f"runs:/{run.run_id}/model", "fraud")
    copy = runwire.register_model("models:/fraud/latest", "fraud-prod")
    assert (copy.name, copy.version, copy.source) == ("fraud-prod", 1, "models:/fraud/1")
    assert runwire.load_text("models:/fraud-prod/1/weights.txt") == "weights"


@pytest.mark.parametrize(
    "uri", ["model.bin", "file:///x", "models:/m/1/file", "models:/m", "runs:/x/y"]
)
def test_model_that_cannot_be_registered_is_refused(uri: str) -> None:
    with pytest.raises(runwire.InvalidArgumentError):
        runwire.register_model(uri, "m")


def test_reference_to_nothing_is_not_found() -> None:
    with pytest.raises(runwire.NotFoundError):
        runwire.download_artifacts("models:/nothing@champion")
