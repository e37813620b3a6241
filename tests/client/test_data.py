"""Datasets: how they are described, and that a run shows them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import backends
import numpy as np
import pandas as pd
import pytest
import runwire
from runwire import data
from runwire._command import main

from client.sessions import session


@pytest.fixture
def fluent(server: backends.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with session(server, monkeypatch):
        yield


# Descriptions -----------------------------------------------------------------------------


def test_frame_is_described_by_its_columns() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3], "y": [0, 1, 0], "p": [0.5, 0.5, 1.0]})
    found = data.from_pandas(frame, "s3://b/taxi.csv", "y", "taxi", predictions="p")
    assert (found.name, found.source, found.source_type) == ("taxi", "s3://b/taxi.csv", "s3")
    assert found.schema["columns"][0] == {"name": "x", "type": "int64"}
    assert (found.schema["targets"], found.schema["predictions"]) == ("y", "p")
    assert found.profile == {"num_rows": 3, "num_columns": 3, "num_elements": 9}
    assert data.from_pandas(frame).digest == found.digest
    assert data.from_pandas(frame, digest="own").digest == "own"
    with pytest.raises(runwire.InvalidArgumentError, match="no column 'z'"):
        data.from_pandas(frame, targets="z")


def test_arrays_are_described_by_type_and_shape() -> None:
    x, y = np.zeros((3, 2)), np.zeros(3, np.int32)
    found = data.from_numpy(x, targets=y)
    assert found.schema == {
        "features": {"type": "float64", "shape": [3, 2]},
        "targets": {"type": "int32", "shape": [3]},
    }
    assert found.profile == {"features_size": 6, "targets_size": 3}
    assert data.from_numpy(x).digest != found.digest
    several = data.from_numpy({"a": x, "b": y}, targets={"c": y})
    assert list(several.schema) == ["features.a", "features.b", "targets.c"]


def test_file_is_described_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b"a,b\n1,2\n")
    found = data.from_file("train.csv")
    assert (
        found.digest
        == f"sha256:{hashlib.sha256(b'a,b' + bytes([10]) + b'1,2' + bytes([10])).hexdigest()}"
    )
    assert (found.name, found.source_type) == ("train.csv", "local")
    assert found.source == str(tmp_path / "train.csv")
    assert found.profile == {"num_files": 1, "size_bytes": 8}
    assert data.from_file("train.csv", "https://host/t.csv", "t").source_type == "https"
    with pytest.raises(FileNotFoundError):
        data.from_file("nothing")


def test_folder_has_the_digest_of_the_tree_that_is_logged_of_it(
    fluent: None, tmp_path: Path
) -> None:
    for name in ("b.txt", "a.txt", "deep/c.txt"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_text(name)
    found = data.from_files("set")
    assert (found.name, found.profile["num_files"]) == ("set", 3)
    listed = [tmp_path / "set" / name for name in ("deep/c.txt", "a.txt", "b.txt")]
    assert data.from_files(listed).digest == found.digest
    with runwire.Client() as client:
        run_id = client.runs.create().run_id
        assert client.artifacts.put(run_id, tmp_path / "set").tree_digest == found.digest
    with pytest.raises(NotADirectoryError):
        data.from_files("set/a.txt")
    with pytest.raises(runwire.InvalidArgumentError, match="no file"):
        data.from_files([])


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (
            "postgresql://ana:secret@db/x?sslmode=require",
            "postgresql://ana:***@db/x?sslmode=require",
        ),
        ("https://h/a?X-Amz-Signature=secret&b=1", "https://h/a?***"),
        ("https://h/a?sv=1&sig=secret", "https://h/a?***"),
        ("https://h/a?version=2", "https://h/a?version=2"),
        ("s3://bucket/key?x", "s3://bucket/key?x"),
        ("http://[secret", "http://…"),
        (Path("data/a:b@c.csv"), "data/a:b@c.csv"),
        (None, ""),
    ],
)
def test_source_is_kept_without_what_opens_it(source: object, shown: str) -> None:
    described = data.describe(SimpleNamespace(name="d", digest="1", source=source))
    assert described.get("source", "") == shown
    assert data.from_numpy(np.zeros(1), source).source == shown


def test_wide_frame_is_described_in_part() -> None:
    wide = pd.DataFrame(np.zeros((1, 20_000)))
    described = data.describe(data.from_pandas(wide))
    assert len(json.loads(described["schema"])["columns"]) == data.MAX_COLUMNS
    long = data.Dataset("d", "1", schema={"x": "y" * 1_000_000})
    assert json.loads(data.describe(long)["schema"]) == {"omitted_bytes": 1_000_009}


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 513, "a\ud800", "a\nb"])
def test_name_that_no_server_takes_is_told_at_once(name: str) -> None:
    with pytest.raises(runwire.InvalidArgumentError):
        data.describe(data.Dataset(name, "1"))
    with pytest.raises(runwire.InvalidArgumentError):
        data.describe(data.Dataset("d", name or "\0"))


def test_dataset_of_another_library_is_taken() -> None:
    schema = SimpleNamespace(to_dict=lambda: [{"name": "x"}])
    source = SimpleNamespace(uri="s3://b/k")
    theirs = SimpleNamespace(name="d", digest="1", source=source, schema=schema, profile={"n": 1})
    assert data.describe(theirs) == {
        "name": "d",
        "digest": "1",
        "source": "s3://b/k",
        "source_kind": "s3",
        "schema": '[{"name": "x"}]',
        "profile": '{"n": 1}',
    }
    with pytest.raises(TypeError, match="from_file"):
        data.describe(pd.DataFrame())


# Runs -------------------------------------------------------------------------------------


def test_inputs_are_shown_and_found(
    fluent: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test.csv").write_text("1")
    train = data.from_numpy(np.zeros(3), "s3://b/train.npy", name="digits-train")
    test = data.from_file("test.csv")
    with runwire.start_run() as run:
        runwire.log_inputs([train, test], ["training", None], [{"split": "a"}, None])
        runwire.log_input(train, "training", {"split": "a"})
    with runwire.start_run():
        runwire.log_input(test)
    runwire.flush()
    with runwire.Client() as client:
        inputs: dict[str, Any] = {one.name: one for one in client.runs.get(run.run_id).inputs}
    assert inputs["digits-train"].digest == train.digest
    assert dict(inputs["digits-train"].tags) == {"split": "a", "context": "training"}
    assert len(inputs) == 2
    for text, count in (
        ("datasets.name = 'digits-train'", 1),
        (f"dataset.digest = '{test.digest}'", 2),
        (f"dataset.name LIKE 'digits%' AND datasets.digest = '{train.digest}'", 1),
        ("dataset.name = 'other'", 0),
    ):
        assert len(runwire.search_runs(filter_string=text, output_format="list")) == count, text
    uri = ("--tracking-uri", runwire.get_tracking_uri())
    capsys.readouterr()
    assert main(["runs", "show", run.run_id, *uri]) == 0
    shown = capsys.readouterr().out
    assert f"input.training\tdigits-train {train.digest} s3://b/train.npy" in shown
    assert f"input\ttest.csv {test.digest}" in shown


def test_as_many_contexts_as_datasets_are_needed(fluent: None) -> None:
    dataset = data.Dataset("d", "1")
    with runwire.start_run(), pytest.raises(runwire.InvalidArgumentError, match="as many"):
        runwire.log_inputs([dataset, dataset], ["training"])
