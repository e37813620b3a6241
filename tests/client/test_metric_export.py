"""``runwire metrics export``: files that hold every point, or are not there."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runwire
from pyarrow import parquet
from runwire._command import main, metric_export
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName

FIRST, SECOND = "a1" * 16, "b2" * 16
START = 1_700_000_000_123_456
VALUES = [0.1, math.nan, math.inf, -math.inf, 5e-324, -0.0]
KEYS = {"loss": VALUES, "val/a,\"b'": VALUES[::-1]}
Row = tuple[str, str, int, int, str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A local data folder with two runs of two series."""
    with runwire.Client(str(tmp_path / "data")) as client:
        for run_id in (FIRST, SECOND):
            client.runs.create(run_id=run_id)
            put(client, run_id, KEYS)
    return tmp_path / "data"


def put(
    client: runwire.Client, run_id: str, columns: dict[str, list[float]], time: int = START
) -> None:
    """Points at the steps -2, -1, 0 ..., a microsecond each."""
    rows = list(zip(*columns.values(), strict=True))
    frame = Frame(
        series=range(len(columns)),
        steps=range(-2, len(rows) - 2),
        times_micros=range(time, time + len(rows)),
        values=[value for row in rows for value in row],
    )
    names = [SeriesName(id=number, key=key) for number, key in enumerate(columns)]
    client.metrics.log_batch(run_id, MetricBatch(series=names, frames=[frame]))


def expected(
    run_ids: tuple[str, ...] = (FIRST, SECOND), keys: tuple[str, ...] = (*KEYS,)
) -> list[Row]:
    return [
        (run_id, key, place - 2, START + place, repr(value))
        for run_id in run_ids
        for key in keys
        for place, value in enumerate(KEYS[key])
    ]


def read_csv(content: bytes) -> list[Row]:
    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
    assert header == ["run_id", "key", "step", "time", "value"]
    return [
        (run, key, int(step), micros(time), repr(float(value)))
        for run, key, step, time, value in rows
    ]


def read_jsonl(content: bytes) -> list[Row]:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    rows = [json.loads(line, parse_constant=refuse) for line in content.decode().splitlines()]
    return [
        (row["run_id"], row["key"], row["step"], micros(row["time"]), repr(float(row["value"])))
        for row in rows
    ]


def read_parquet(content: bytes) -> list[Row]:
    table = parquet.read_table(io.BytesIO(content))
    assert str(table.schema.field("time").type) == "timestamp[us, tz=UTC]"
    columns: list[Any] = [table[name] for name in ("run_id", "key", "step", "time", "value")]
    columns[3] = columns[3].cast("int64")
    return [
        (*row[:4], repr(row[4])) for row in zip(*(one.to_pylist() for one in columns), strict=True)
    ]


READERS = {"csv": read_csv, "jsonl": read_jsonl, "parquet": read_parquet}


def micros(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def export(data: Path, *arguments: str) -> int:
    return main(["--tracking-uri", str(data), "metrics", "export", *arguments])


@pytest.fixture(params=READERS)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_an_export_holds_every_point_bit_for_bit(
    data: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / f"out.{kind}"
    assert export(data, FIRST, SECOND[:8], "--output", str(target)) == 0
    assert READERS[kind](target.read_bytes()) == expected()
    assert capsys.readouterr().out.split() == ["24"]


def test_an_export_goes_to_a_pipe(data: Path, kind: str) -> None:
    program = "import sys; from runwire._command import main; sys.exit(main())"
    command = ["-u", str(data), "metrics", "export", FIRST, "--format", kind, "-o", "-"]
    done = subprocess.run(
        [sys.executable, "-c", program, *command], capture_output=True, check=True
    )
    assert READERS[kind](done.stdout) == expected((FIRST,))


def test_an_export_takes_keys_prefixes_and_a_range(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    assert export(data, FIRST, "--key", "loss", "-o", str(target), "--end", "0") == 0
    assert read_csv(target.read_bytes()) == expected((FIRST,), ("loss",))[:2]
    assert export(data, FIRST, "--prefix", "val/", "-o", str(target)) == 0
    assert read_csv(target.read_bytes()) == expected((FIRST,), (*KEYS,)[1:])
    after = "2023-11-14T22:13:20.123458+00:00"
    assert export(data, FIRST, "--axis", "time", "--start", after, "-o", str(target)) == 0
    assert [row[2] for row in read_csv(target.read_bytes())] == [0, 1, 2, 3] * 2


def test_many_points_are_written_in_groups(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_export, "GROUP_POINTS", 5)
    target = tmp_path / "out.parquet"
    assert export(data, FIRST, SECOND, "-o", str(target)) == 0
    assert parquet.ParquetFile(target).num_row_groups == 4
    assert read_parquet(target.read_bytes()) == expected()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["f" * 32], 3, "no run"),
        ([FIRST, "--key", "nothing"], 3, "nothing"),
        ([FIRST, "--key", "loss", "--start", "x"], 2, "--start"),
    ],
)
def test_a_failed_export_leaves_what_was_there(
    data: Path,
    tmp_path: Path,
    kind: str,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    target = tmp_path / f"out.{kind}"
    target.write_text("before")
    assert export(data, *arguments, "-o", str(target)) == code
    assert said in capsys.readouterr().err
    assert target.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", target.name]


def test_a_time_beyond_the_calendar_is_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with runwire.Client(str(data)) as client:
        put(client, FIRST, {"late": [1.0]}, time=(1 << 63) - 2)
    target = tmp_path / "out.csv"
    assert export(data, FIRST, "-o", str(target)) == 1
    assert "'late'" in capsys.readouterr().err
    assert not target.exists()
    assert export(data, FIRST, "--key", "late", "-o", str(target.with_suffix(".parquet"))) == 0


def test_a_format_is_needed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(data, FIRST, "-o", "-") == 2
    assert "parquet, csv, jsonl" in capsys.readouterr().err


def test_parquet_without_pyarrow_names_the_extra(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert export(data, FIRST, "-o", str(tmp_path / "out.parquet")) == 1
    assert "runwire[arrow]" in capsys.readouterr().err
    with runwire.Client(str(data)) as client:
        found = client.metrics.read(FIRST)
    with pytest.raises(ImportError, match=r"pyarrow.*runwire\[arrow\]"):
        found.to_arrow()


def test_columns_come_without_numpy_too(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from runwire import _series

    with runwire.Client(str(data)) as client:
        whole = client.metrics.read(FIRST)
        reduced = client.metrics.read(FIRST, reduce="BUCKETS", max_points=3)
        monkeypatch.setattr(_series, "_numpy", lambda: None)
        for found, plain in (
            (whole, client.metrics.read(FIRST)),
            (reduced, client.metrics.read(FIRST, reduce="BUCKETS", max_points=3)),
        ):
            for name, one in found.items():
                for ours, theirs in zip(
                    one.columns().values(), plain[name].columns().values(), strict=True
                ):
                    assert isinstance(ours, np.ndarray)
                    assert ours.tobytes() == theirs.tobytes()
