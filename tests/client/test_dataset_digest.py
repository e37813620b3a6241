"""Digests of data: which datasets are the same, wherever and however they are read."""

from __future__ import annotations

import datetime
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from runwire import _dataset_digest
from runwire._dataset_digest import of_arrays, of_files, of_frame, text_of

MIB = 1 << 20
FRAME = {
    "n": [1, 2, 3],
    "x": [0.5, float("nan"), -0.0],
    "text": ["a", None, "ü"],
    "flag": [True, False, True],
    "time": np.array(["2024-02-29T12:00:00.000000001", "NaT", "1969-12-31"], dtype="M8[ns]"),
    "mixed": [1, "1", {"b": [1, 2.5], "a": {3, 4}}],
}


def _of(array: Any) -> str:
    return of_arrays({"features": np.asarray(array)})


# What is pinned here was made once; a change would part old runs from new ones.
PINNED = {
    "array": lambda: _of(np.arange(6, dtype="<f8").reshape(2, 3)),
    "texts": lambda: _of(np.array(["a", "ü", None], dtype=object)),
    "frame": lambda: of_frame(pd.DataFrame(FRAME)),
}
EXPECTED = {
    "array": "791709c86294e5ea",
    "texts": "c7e0cb15121f100f",
    "frame": "33cd36975d7ff4ab",
}


@pytest.mark.parametrize("name", PINNED)
def test_digest_is_the_same_for_ever(name: str) -> None:
    assert PINNED[name]() == EXPECTED[name]


def test_digest_is_the_same_in_another_process() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from client.test_dataset_digest import PINNED\n"
        "print(*(made() for made in PINNED.values()))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program, tests], env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == list(EXPECTED.values()), done.stderr


# Arrays -----------------------------------------------------------------------------------


def test_layout_of_an_array_makes_no_difference() -> None:
    array = np.random.default_rng(1).random((300, 700))
    expected = _of(array)
    assert _of(np.asfortranarray(array)) == expected
    assert _of(array.astype(">f8")) == expected
    wide = np.zeros((600, 1400))
    wide[::2, ::2] = array
    assert _of(wide[::2, ::2]) == expected
    assert _of(array.tolist()) == expected


def test_memory_map_has_the_digest_of_its_array(tmp_path: Path) -> None:
    array = np.arange(1000, dtype=np.int16)
    np.save(tmp_path / "a.npy", array)
    assert _of(np.load(tmp_path / "a.npy", mmap_mode="r")) == _of(array)


def test_other_arrays_have_other_digests() -> None:
    array = np.arange(12, dtype=np.int32)
    others = [
        array,
        array.reshape(3, 4),
        array.reshape(4, 3),
        array.astype(np.int64),
        array.astype(np.float32),
        array[::-1],
        array[:-1],
        np.append(array, 12).astype(np.int32),
        array == 1,
        array.astype(str),
        array.astype(object),
        np.zeros(0, np.int32),
        np.zeros((0, 3), np.int32),
        np.array(5, np.int32),
        np.zeros(2, [("a", "i4"), ("b", "f8")]),
        np.array(["2024"], "M8[s]"),
    ]
    digests = {_of(one) for one in others}
    digests.add(of_arrays({"features": array, "targets": array}))
    digests.add(of_arrays({"other": array}))
    assert len(digests) == len(others) + 2
    assert all(len(digest) == 16 for digest in digests)


def test_objects_count_by_their_value_and_not_by_their_place_in_memory() -> None:
    class Own:
        pass

    def made() -> np.ndarray[Any, Any]:
        found = np.empty(4, dtype=object)
        found[:] = [[1, "a"], {"b": 1, "a": 2}, Own(), b"x"]
        return found

    assert _of(made()) == _of(made())
    assert "0x" not in text_of(Own())
    with_another = made()
    with_another[0] = [1, "b"]
    assert _of(with_another) != _of(made())


# Frames -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["object", "category", "string", "str"])
def test_how_pandas_keeps_texts_makes_no_difference(kind: str) -> None:
    plain = pd.DataFrame({"a": pd.Series(["x", "y", None, "x"], dtype=object)})
    assert of_frame(plain.astype({"a": kind})) == of_frame(plain)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_unit_and_zone_of_times_make_no_difference(unit: Any) -> None:
    moments: Any = pd.Series(
        np.array(["2024-02-29", "NaT", "1900-01-01", "2200-12-31"], dtype="M8[s]")
    )
    expected = of_frame(pd.DataFrame({"t": moments.astype("datetime64[ns]")}))
    assert of_frame(pd.DataFrame({"t": moments.astype(f"datetime64[{unit}]")})) == expected
    in_tokyo = moments.dt.as_unit(unit).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    assert of_frame(pd.DataFrame({"t": in_tokyo})) == expected
    spans = moments - moments[0]
    assert of_frame(pd.DataFrame({"t": spans.astype(f"m8[{unit}]")})) == of_frame(
        pd.DataFrame({"t": spans.astype("m8[ns]")})
    )


def test_index_of_a_frame_makes_no_difference() -> None:
    frame = pd.DataFrame(FRAME)
    assert of_frame(frame.set_index(pd.Index([7, 8, 9]))) == of_frame(frame)
    assert of_frame(pd.concat([frame[:1], frame[1:]])) == of_frame(frame)


def test_other_frames_have_other_digests() -> None:
    frame = pd.DataFrame(FRAME)
    others = [
        frame,
        frame[::-1],
        frame[:2],
        frame[["x", "n", "text", "flag", "time", "mixed"]],
        frame.rename(columns={"n": "m"}),
        frame.assign(n=[1, 2, 4]),
        frame.assign(text=["a", "", "ü"]),
        frame.assign(flag=[1, 0, 1]),
        frame.assign(time=frame["time"] + datetime.timedelta(microseconds=1)),
        frame.assign(mixed=[1, 1, frame["mixed"][2]]),
        frame.iloc[:0],
        frame[[]],
    ]
    assert len({of_frame(one) for one in others}) == len(others)


def test_two_columns_of_one_name_are_two() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert of_frame(frame) != of_frame(pd.DataFrame([[2, 1]], columns=["a", "a"]))


# Bounds -----------------------------------------------------------------------------------


def test_large_arrays_are_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_dataset_digest, "ARRAY_BLOCKS", 4)
    array = np.zeros(10 * MIB, np.uint8)
    digest = _of(array)
    for index in (0, MIB - 1, 3 * MIB + 1, 10 * MIB - 1):
        changed = array.copy()
        changed[index] = 1
        assert _of(changed) != digest, index
    assert _of(array[:-1]) != digest
    assert _of(np.lib.stride_tricks.as_strided(array[:1], (10 * MIB,), (0,))) == digest


def test_cells_of_large_frames_are_read_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_dataset_digest, "MAX_CELLS", 20)
    frame = pd.DataFrame({"a": [f"{n}" for n in range(1000)], "b": "x"})
    read: list[object] = []

    def noted(value: object) -> str:
        read.append(value)
        return ""

    monkeypatch.setattr(_dataset_digest, "text_of", noted)
    of_frame(frame)
    assert read[:1] + read[11:12] == ["a", "b"]
    assert read[1:11] == [str(n * 999 // 9) for n in range(10)]


def test_long_text_counts_by_its_beginning_and_length() -> None:
    long = "x" * 10_000
    assert len(text_of(long)) < 5000
    assert text_of(long) != text_of(long + "x")


# Files ------------------------------------------------------------------------------------


def test_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    expected = f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    assert of_files({"a": tmp_path / "a"}) == of_files({"b": tmp_path / "a"}) == expected


def test_files_count_by_path_and_content_in_any_order(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    a, b = tmp_path / "a", tmp_path / "b"
    assert of_files({"a": a, "b": b}) == of_files({"b": b, "a": a})
    assert (
        len({of_files(one) for one in ({"a": a, "b": b}, {"a": b, "b": a}, {"c": a, "b": b})}) == 3
    )


def test_large_files_are_read_in_blocks_as_if_they_were_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_dataset_digest, "FILE_BLOCKS", 4)
    files = {name: tmp_path / name for name in "ab"}
    for file in files.values():
        with file.open("wb") as opened:
            opened.truncate(5 * MIB)
    digest = of_files(files)
    assert digest.startswith("sampled:")
    assert of_files(files) == digest
    for name, offset in (("a", 0), ("a", 3 * MIB + 10), ("b", 5 * MIB - 1)):
        with files[name].open("r+b") as opened:
            opened.seek(offset)
            opened.write(b"x")
            opened.flush()
            assert of_files(files) != digest
            opened.seek(offset)
            opened.write(b"\0")
    assert of_files(files) == digest
    assert of_files({"a": files["a"]}) == of_files({"other": files["b"]})


def test_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        of_files({"a": tmp_path / "a"})
