"""Which paths an artifact may have. The corpus is of names that got past other services."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runwire_server.errors import FieldInvalid, TooLarge
from runwire_server.store.paths import MAX_PATH_BYTES, check_path, check_prefix

GOOD = [
    "model.pkl",
    "a/b/c.txt",
    ".hidden",
    ".a/..b/c..",
    "...x",
    "with blank/and (brackets) [x] {y}",
    "100%",
    "50%25done",
    "ünïcödé/模型/🧑‍🔬.json",
    "aux",
    "con.txt",
    "metrics:val.json",
    "a" * 255,
    "/".join(["d" * 100] * 10),
    "~/x",
    "$HOME/`id`;rm -rf",
    "-rf",
    "*",
]

HOSTILE = [
    "",
    "/",
    "//",
    "/etc/passwd",
    "//server/share",
    "..",
    ".",
    "../x",
    "a/../b",
    "a/..",
    "a/./b",
    "./a",
    "a//b",
    "a/",
    "a/b/",
    "...",
    "a/ /b",
    "a/.. /b",
    "a/. ./b",
    "..\\x",
    "a\\b",
    "\\\\server\\share",
    "C:/x",
    "c:x",
    "C:\\x",
    "%2e%2e/x",
    "%2E%2E%2Fx",
    "a%2fb",
    "a%5Cb",
    "a%00b",
    "%252e%252e/x",
    "%25252fx",
    "a%0ab",
    "a%7f",
    "a\x00b",
    "a\nb",
    "a\r",
    "\x1b[31m",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "file:///etc/passwd",
    "s3://bucket/key",
]


@pytest.mark.parametrize("path", GOOD)
def test_good_path_is_kept_as_it_is(path: str) -> None:
    assert check_path("path", path) == path


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_path_is_refused_with_its_field(path: str) -> None:
    with pytest.raises(FieldInvalid) as caught:
        check_path("artifacts[3].path", path)
    assert caught.value.field == "artifacts[3].path"


@pytest.mark.parametrize("path", ["x" * 256, "é" * 128, "/".join(["d" * 100] * 11)])
def test_long_path_is_too_large(path: str) -> None:
    with pytest.raises(TooLarge):
        check_path("path", path)


def test_lone_surrogate_is_refused_not_a_crash() -> None:
    with pytest.raises(FieldInvalid):
        check_path("path", "a\ud800b")


def test_prefix_may_be_the_root() -> None:
    assert check_prefix("prefix", "") == ""
    with pytest.raises(FieldInvalid):
        check_prefix("prefix", "a/")


def test_decomposed_and_composed_names_are_one_path() -> None:
    assert check_path("path", unicodedata.normalize("NFD", "modèle/é")) == "modèle/é"


@given(st.text(max_size=60) | st.text(alphabet="./\\%2eEfF5cC0: a", max_size=30))
def test_accepted_path_never_leaves_its_root(path: str) -> None:
    try:
        accepted = check_path("path", path)
    except (FieldInvalid, TooLarge):
        return
    assert len(accepted.encode()) <= MAX_PATH_BYTES
    assert check_path("path", accepted) == accepted
    assert not accepted.startswith("/")
    assert "\\" not in accepted
    assert not {"", ".", ".."} & set(accepted.split("/"))
