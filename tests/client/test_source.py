"""What a run records of where it comes from, read from git's own files and no other program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from runwire import _names, _source

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """On branch ``main``, with one commit, made by hand."""
    git_dir = tmp_path / "work" / ".git"
    (git_dir / "refs" / "heads" / "team").mkdir(parents=True)
    (git_dir / "HEAD").write_text("ref: refs/heads/main\n")
    (git_dir / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    (git_dir / "config").write_text(
        "[core]\n\tbare = false\n"
        '[remote "fork"]\n\turl = https://example.org/fork.git\n'
        '[remote "origin"]\n\turl = https://ana:s3cret@example.org/taxi.git\n'
        "\t\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
    )
    return git_dir.parent


def test_commit_branch_and_remote_are_read(repository: Path) -> None:
    (repository / "src" / "deep").mkdir(parents=True)
    assert _source.git(repository / "src" / "deep") == {
        "git_commit": COMMIT,
        "git_branch": "main",
        "git_remote": "https://example.org/taxi.git",
    }


def test_packed_branch_is_found(repository: Path) -> None:
    other = COMMIT.replace("0", "f")
    (repository / ".git" / "refs" / "heads" / "main").unlink()
    (repository / ".git" / "packed-refs").write_text(
        "# pack-refs with: peeled fully-peeled sorted\n"
        f"{other} refs/remotes/origin/main\n{COMMIT} refs/heads/main\n^{other}\n"
    )
    assert _source.git(repository)["git_commit"] == COMMIT


def test_branch_name_may_hold_slashes(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_text("ref: refs/heads/team/lr\n")
    (repository / ".git" / "refs" / "heads" / "team" / "lr").write_text(COMMIT)
    found = _source.git(repository)
    assert (found["git_branch"], found["git_commit"]) == ("team/lr", COMMIT)


def test_detached_head_has_a_commit_and_no_branch(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_text(f"{COMMIT}\n")
    found = _source.git(repository)
    assert (found["git_commit"], "git_branch" in found) == (COMMIT, False)


def test_branch_without_a_commit_has_none(repository: Path) -> None:
    (repository / ".git" / "refs" / "heads" / "main").unlink()
    found = _source.git(repository)
    assert (found["git_branch"], "git_commit" in found) == ("main", False)


def test_refs_in_a_reftable_are_left_out(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_text("ref: refs/heads/.invalid\n")
    assert _source.git(repository) == {"git_remote": "https://example.org/taxi.git"}


def test_worktree_points_to_its_repository(repository: Path, tmp_path: Path) -> None:
    linked = repository / ".git" / "worktrees" / "linked"
    linked.mkdir(parents=True)
    (linked / "HEAD").write_text("ref: refs/heads/other\n")
    (linked / "commondir").write_text("../..\n")
    (repository / ".git" / "refs" / "heads" / "other").write_text(COMMIT)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / ".git").write_text(f"gitdir: {linked}\n")
    assert _source.git(tmp_path / "linked") == {
        "git_commit": COMMIT,
        "git_branch": "other",
        "git_remote": "https://example.org/taxi.git",
    }


def test_real_git_is_read_as_git_says(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        settings = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        environment = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": "/dev/null",
        }
        command = ["git", "-C", str(tmp_path), *settings, *arguments]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment
        ).stdout.strip()

    git("init", "--quiet", "--initial-branch", "trunk")
    git("commit", "--quiet", "--allow-empty", "--message", "first")
    git("remote", "add", "origin", "git@example.org:taxi.git")
    git("pack-refs", "--all")
    assert _source.git(tmp_path) == {
        "git_commit": git("rev-parse", "HEAD"),
        "git_branch": "trunk",
        "git_remote": "git@example.org:taxi.git",
    }


@pytest.mark.parametrize("damage", ["nothing", "no HEAD", "bytes", "lost worktree", "nonsense"])
def test_damaged_repository_is_left_out(repository: Path, damage: str) -> None:
    git_dir = repository / ".git"
    if damage == "nothing":
        git_dir = git_dir.rename(repository / "elsewhere")
    elif damage == "no HEAD":
        (git_dir / "HEAD").unlink()
    elif damage == "bytes":
        (git_dir / "HEAD").write_bytes(b"\xff\xfe")
    elif damage == "nonsense":
        (git_dir / "HEAD").write_text("<html>")
        (git_dir / "config").unlink()
    else:
        git_dir.rename(repository / "elsewhere")
        (repository / ".git").write_text("gitdir: /nowhere\n")
    assert _source.git(repository) == {}


def test_damaged_configuration_loses_only_the_remote(repository: Path) -> None:
    (repository / ".git" / "config").write_bytes(b'[remote "origin"\nurl\n=\xff\n')
    assert _source.git(repository) == {"git_commit": COMMIT, "git_branch": "main"}


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://ana:s3cret@h/x.git", "https://h/x.git"),
        ("https://t0ken@h:8443/a@b/x.git", "https://h:8443/a@b/x.git"),
        ("https://h/x.git", "https://h/x.git"),
        ("git@h:x.git", "git@h:x.git"),
        ("/srv/git/x.git", "/srv/git/x.git"),
    ],
)
def test_remote_is_kept_without_credentials(repository: Path, url: str, kept: str) -> None:
    (repository / ".git" / "config").write_text(f'[remote "origin"]\n\turl = "{url}"\n')
    assert _source.git(repository)["git_remote"] == kept


def test_user_is_who_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(_source.user(), str)
    monkeypatch.setenv("USER", "ana")
    assert _source.user() == "ana"
    monkeypatch.setenv("RUNWIRE_USER", "robot")
    assert _source.user() == "robot"


def test_script_tells_its_name_command_host_and_language(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "from runwire import _source\nimport json\nprint(json.dumps(_source.source()))"
    )
    import json

    command = [sys.executable, str(script), "--lr", "0.1", "x" * 5000, "\udcff"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(run.stdout)
    assert (found["name"], found["kind"]) == (str(script), "script")
    assert found["command"][:4] == command[:4]
    assert [len(one) for one in found["command"][4:]] == [_source.MAX_ARGUMENT_CHARS, 1]
    assert found["language"].startswith("python 3.")
    assert found["host"]


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be deleted there")
def test_deleted_working_folder_stops_nothing(tmp_path: Path) -> None:
    program = (
        "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
        "from runwire import _source; print(_source.source()['host'])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert run.stdout.strip()


def test_source_imports_nothing_slow() -> None:
    program = (
        "import sys; from runwire import _source; _source.source(); _source.user()\n"
        "print(*(name for name in ('platform', 'socket', 'configparser', 'subprocess', 'getpass')"
        " if name in sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert run.stdout.split() == []


def test_names_are_easy_to_say_and_rarely_the_same() -> None:
    names = {_names.run_name() for _ in range(200)}
    assert len(names) > 190
    for name in names:
        first, second, number = name.split("-")
        assert first.isalpha()
        assert second.isalpha()
        assert len(number) == 3
        assert number.isdecimal()
