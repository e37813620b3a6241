"""Artifacts on the command line."""

from __future__ import annotations

import os
from pathlib import Path

from .calls import FIRST, SECOND, Command


def test_artifacts_go_and_come_back(command: Command, tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "a.txt").write_text("hello")
    assert command("artifacts", "put", FIRST, "report", "reports/one").code == 0
    listed = command("artifacts", "ls", FIRST, "-r").rows
    assert [row[:2] for row in listed] == [
        ["model/weights.bin", "7"],
        ["notes.txt", "5"],
        ["reports/one/a.txt", "5"],
    ]
    got = command("artifacts", "get", FIRST, "reports", "-o", "out")
    assert (Path(got.out.strip()) / "one" / "a.txt").read_text() == "hello"
    assert command("artifacts", "rm", FIRST, "reports", "notes.txt").out == "2\n"
    assert [row[0] for row in command("artifacts", "ls", FIRST).rows] == ["model/"]


def test_lost_and_damaged_artifacts_are_found(command: Command, data: Path, tmp_path: Path) -> None:
    large = os.urandom(300_000)
    for name in ("damaged", "lost", "whole"):
        (tmp_path / name).write_bytes(name.encode() + large)
        assert command("artifacts", "put", FIRST, name, f"large/{name}").code == 0
    assert command("artifacts", "verify", FIRST).out == ""
    assert command("doctor", "--deep").code == 0
    for path in (data / "blobs").rglob("*"):
        if path.is_file() and path.read_bytes().startswith(b"damaged"):
            path.write_bytes(path.read_bytes()[:-1] + b"?")
        elif path.is_file() and path.read_bytes().startswith(b"lost"):
            path.unlink()
    ended = command("artifacts", "verify", FIRST, "large")
    assert ended.code == 1
    assert [row[0] for row in ended.rows] == ["large/damaged", "large/lost"]
    assert command("artifacts", "verify", FIRST, "large/whole").code == 0
    assert command("artifacts", "verify", FIRST, "nothing").code == 3
    for options in ([], ["--deep"]):
        ended = command("doctor", *options)
        assert ended.code == 1
        told = [row[2] for row in ended.rows if row[0] == "artifact"]
        assert [line.split(": ")[1] for line in told] == ["large/damaged", "large/lost"]


def test_sizes_are_summed_up_by_directory(command: Command) -> None:
    for name, text in (("a", "12"), ("d/b", "12"), ("d/e/c", "345")):
        Path("sent").write_text(text)
        command("artifacts", "put", SECOND, "sent", f"du/{name}")
    rows = command("artifacts", "du", SECOND, "du").rows
    assert rows == [
        ["du/a", "1", "2", "2"],
        ["du/d/", "2", "5", "5"],
        ["du", "3", "7", "5"],
    ]
    assert command("artifacts", "du", SECOND, "du/a").rows[0] == ["du/a", "1", "2", "2"]
    assert command("artifacts", "du", SECOND, "--json").json[-1]["path"] == "."


def test_artifacts_of_a_model_version_are_read(command: Command) -> None:
    assert [row[0] for row in command("artifacts", "ls", "models:/fraud@champion").rows] == [
        "weights.bin"
    ]
    command("artifacts", "get", "models:/fraud/1", "-o", "model")
    assert Path("model/weights.bin").read_bytes() == b"weights"


def test_sending_what_is_not_there_fails(command: Command) -> None:
    ended = command("artifacts", "put", FIRST, "nothing")
    assert (ended.code, ended.err) == (1, "runwire: there is no nothing\n")
