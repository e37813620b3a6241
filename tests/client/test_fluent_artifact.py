"""Artifacts and models through the fluent API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import backends
import numpy as np
import pytest
import runwire
from numpy.typing import NDArray
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


@pytest.mark.parametrize("path", ["../up", "a/../../b", "/etc/passwd", "a/./b", "..\\up"])
def test_path_that_leaves_the_run_is_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with runwire.start_run() as run:
        with pytest.raises(runwire.InvalidArgumentError):
            runwire.log_artifact("file", artifact_path=path)
        with pytest.raises(runwire.InvalidArgumentError):
            runwire.log_text("x", path)
        with pytest.raises(runwire.InvalidArgumentError):
            runwire.download_artifacts(run_id=run.run_id, artifact_path=path)
    assert _paths(run.run_id) == []


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


@pytest.mark.parametrize(
    ("array", "pixel"),
    [
        (np.full((2, 3), 0.5), 127),
        (np.full((2, 3, 1), 200, dtype=np.uint8), 200),
        (np.full((2, 3, 3), 300), (255, 255, 255)),
        (np.ones((2, 3), dtype=bool), 255),
        (np.full((2, 3, 4), np.nan), (0, 0, 0, 0)),
    ],
)
def test_array_becomes_an_image(array: NDArray[Any], pixel: object) -> None:
    with runwire.start_run() as run:
        runwire.log_image(array, "a.png")
    image = runwire.load_image(f"runs:/{run.run_id}/a.png")
    assert (image.size, image.getpixel((0, 0))) == ((3, 2), pixel)


def test_images_under_a_key_stand_in_a_row() -> None:
    from PIL import Image

    with runwire.start_run() as run:
        for step in (1, 20):
            runwire.log_image(Image.new("L", (2, 2)), key="samples", step=step, timestamp=5)
        runwire.log_image(Image.new("RGB", (2, 2)), "b.jpg")
        for wrong in ({}, {"artifact_file": "a.png", "key": "k"}, {"artifact_file": "a.txt"}):
            with pytest.raises(runwire.InvalidArgumentError):
                runwire.log_image(Image.new("L", (2, 2)), **wrong)  # type: ignore[arg-type]
        with pytest.raises(runwire.InvalidArgumentError, match="shape"):
            runwire.log_image(np.zeros(3), "a.png")
    assert _paths(run.run_id) == [
        "b.jpg",
        "images/samples/00000001-5.png",
        "images/samples/00000020-5.png",
    ]


def test_tables_grow_with_each_call() -> None:
    import pandas as pd

    with runwire.start_run() as run:
        runwire.log_table({"q": ["a", "b"], "n": np.array([1, 2])}, "eval.json")
        runwire.log_table({"q": "c", "extra": 1.5}, "eval.json")
        runwire.log_table(pd.DataFrame({"q": ["d"]}), "eval.json")
        with pytest.raises(runwire.InvalidArgumentError, match="equally long"):
            runwire.log_table({"q": [1], "n": [1, 2]}, "eval.json")
        with pytest.raises(runwire.InvalidArgumentError, match=r"\.json"):
            runwire.log_table({"q": [1]}, "eval.parquet")
    with runwire.start_run(run_id=run.run_id):
        runwire.log_table({"q": ["e"]}, "eval.json")
    table = runwire.load_table("eval.json", [run.run_id], extra_columns=["run_id", "status"])
    assert list(table["q"]) == ["a", "b", "c", "d", "e"]
    assert list(table["n"].fillna(0)) == [1, 2, 0, 0, 0]
    assert set(table["status"]) == {"FINISHED"}
    assert set(table["run_id"]) == {run.run_id}


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


@pytest.mark.parametrize("uri", ["model.bin", "file:///x", "models:/m/1", "runs:/x/y"])
def test_model_that_cannot_be_registered_is_refused(uri: str) -> None:
    with pytest.raises(runwire.InvalidArgumentError):
        runwire.register_model(uri, "m")


def test_reference_to_nothing_is_not_found() -> None:
    with pytest.raises(runwire.NotFoundError):
        runwire.download_artifacts("models:/nothing@champion")
