"""The registry on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import runwire

from .calls import FIRST, PROGRAM, SECOND, Command


def test_version_is_published_moved_and_found(command: Command) -> None:
    published = command("models", "register", "fraud", "b2b2", "model", "--alias", "candidate")
    assert published.out == "2\n"
    assert command("models", "alias", "fraud", "champion", "2", "--expect", "9").code == 1
    assert command("models", "alias", "fraud", "champion", "2", "--expect", "1").out == "2\n"
    assert command("models", "stage", "fraud/2", "Production").out == "production\n"
    (row,) = command("models", "resolve", "fraud@champion").rows
    assert row[:6] == ["fraud", "2", "production", "candidate,champion", SECOND, "model"]
    assert [row[1] for row in command("models", "versions", "fraud").rows] == ["2", "1"]
    told = [row[2] for row in command("models", "events", "fraud", "--alias", "champion").rows]
    assert told == ["@champion to version 2 from 1", "@champion to version 1 from unset"]


def test_watch_prints_what_references_mean_and_whenever_that_changes(data: Path) -> None:
    """Beside another process that changes it, on the same data."""
    arguments = ["models", "watch", "fraud@champion", "--json", "-n", "2"]
    with (
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True
        ) as watching,
        runwire.Client(data) as client,
    ):
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        assert (first["reference"], first["model"], first["version"]) == (
            "fraud@champion",
            "fraud",
            1,
        )
        client.models.delete_alias("fraud", "champion")
        second = json.loads(watching.stdout.readline())
        assert second == {"reference": "fraud@champion", "error": "NOT_FOUND"}
    assert watching.returncode == 0


def test_watch_of_no_reference_is_refused(command: Command) -> None:
    ended = command("models", "watch", "fraud", "-n", "1")
    assert ended.code == 2
    assert "MODEL@ALIAS" in ended.err
    (line,) = command("models", "watch", "fraud@champion", "-n", "1").rows
    assert line[:3] == ["fraud@champion", "fraud", "1"]


def test_model_is_made_changed_and_deleted(command: Command) -> None:
    assert command("models", "create", "churn", "--stages", "draft,live").out == "churn\n"
    command("models", "register", "churn", "--uri", "s3://elsewhere/x")
    command("models", "describe", "churn", "leavers")
    command("models", "tag", "churn/1", "checked=yes")
    command("models", "rename", "churn", "leavers")
    shown = dict(command("models", "show", "leavers").rows)
    assert (shown["description"], shown["stages"]) == ("leavers", "draft,live")
    version = dict(command("models", "show", "leavers/1").rows)
    assert (version["tags.checked"], version["source uri"]) == ("yes", "s3://elsewhere/x")
    assert command("models", "search", "name LIKE 'leav%'").rows[0][0] == "leavers"
    assert command("models", "unalias", "fraud", "champion").code == 0
    assert command("models", "delete", "leavers/1").code == 0
    assert command("models", "delete", "leavers").code == 0
    assert [row[0] for row in command("models", "ls").rows] == ["fraud"]


def test_moved_alias_is_taken_back_and_the_past_is_told(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNWIRE_USER", "Zoë")
    command("models", "register", "fraud", "b2b2", "model")
    command("models", "alias", "fraud", "champion", "2", "--comment", "better")
    back = command("models", "rollback", "fraud", "champion", "--expect", "2", "--comment", "slow")
    assert (back.code, back.out) == (0, "1\n")
    assert command("models", "rollback", "fraud", "champion", "--expect", "2").code == 1
    history = command("models", "history", "fraud", "--alias", "champion", "-n", "2").rows
    assert [row[1:] for row in history] == [
        ["fraud", "@champion back to version 1 from 2", "Zoë", "slow"],
        ["fraud", "@champion to version 2 from 1", "Zoë", "better"],
    ]
    moved = history[1][0]
    at = ("--at", moved)
    assert command("models", "resolve", "fraud@champion", *at).rows[0][1] == "2"
    assert command("models", "resolve", "fraud@champion", "--at", "2020-01-01").code == 3
    assert command("models", "resolve", "fraud@champion", "--at", "soon").code == 2
    since = command("models", "history", "--since", moved, "--kind", "alias_moved").rows
    assert len(since) == 2


def test_everything_that_happens_to_a_model_is_told_in_words(command: Command) -> None:
    command("models", "register", "churn", "--uri", "s3://elsewhere/x")
    command("models", "tag", "churn/1", "checked=yes")
    command("models", "tag", "churn/1", "checked=no")
    command("models", "tag", "churn/1", "--remove", "checked")
    command("models", "describe", "churn", "x" * 100)
    command("models", "stage", "churn/1", "production")
    command("models", "delete", "churn/1")
    assert command("models", "restore", "churn/1").out == "1\n"
    command("models", "rename", "churn", "leavers")
    command("models", "delete", "leavers", "--comment", "unused")
    command("models", "create", "leavers")
    assert command("models", "restore", "leavers").code == 1
    assert command("models", "restore", "leavers", "--as", "old").out == "old\n"
    told = [row[2] for row in command("models", "history", "old").rows]
    assert told == [
        "model restored, was leavers",
        "model deleted",
        "renamed from churn",
        "version 1 restored",
        "version 1 deleted",
        "version 1 to production from none",
        f"description = '{'x' * 39}…'",
        "version 1: tags.checked removed (was 'no')",
        "version 1: tags.checked = 'no' (was 'yes')",
        "version 1: tags.checked = 'yes'",
        "version 1 published",
        "model made",
    ]
    assert len(command("models", "history", "old/1").rows) == 7
    assert command("models", "history", "old/new").code == 2


def test_trash_is_listed_where_that_is_asked(command: Command) -> None:
    command("models", "register", "fraud", "--uri", "s3://elsewhere/x")
    command("models", "delete", "fraud/2")
    assert [row[1] for row in command("models", "versions", "fraud").rows] == ["1"]
    assert [row[1] for row in command("models", "versions", "fraud", "--deleted").rows] == [
        "2",
        "1",
    ]
    command("models", "delete", "fraud")
    assert command("models", "ls").rows == []
    assert [row[0] for row in command("models", "ls", "--deleted").rows] == ["fraud"]
    assert command("models", "restore", "nobody").code == 3


def test_versions_are_copied_traced_and_compared(command: Command) -> None:
    command("models", "register", "fraud", "b2b2", "model")
    assert command("models", "register", "prod", "--version", "fraud/1").out == "1\n"
    assert command("models", "register", "prod", "b2b2", "--version", "fraud/1").code == 2
    assert dict(command("models", "show", "prod/1").rows)["copy of"] == "fraud/1"
    assert command("models", "lineage", "prod/1").rows == [
        ["fraud/1", "copied", "prod/1"],
        [FIRST, "registered", "fraud/1"],
    ]
    assert command("models", "lineage", "--run", "a1a1", "--down").rows == [
        [FIRST, "registered", "fraud/1"],
        ["fraud/1", "copied", "prod/1"],
    ]
    assert command("models", "lineage", "prod/1", "--hops", "1", "--json").json["truncated"]
    assert command("models", "lineage", "prod/1", "--run", "last").code == 2
    assert command("models", "lineage", "--dataset", "unused").code == 3
    compared = {row[1]: row for row in command("models", "compare", "fraud/1", "fraud/2").rows}
    assert compared["params.lr"] == ["*", "params.lr", "0.1", "0.2"]
    assert compared["params.size"] == ["", "params.size", "32", "32"]
    assert compared["weights.bin"][0] == ""
    only = command("models", "compare", "fraud/1", "prod/1", "--differences").rows
    assert [row[1] for row in only] == ["source path"]
