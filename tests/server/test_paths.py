"""Which paths an artifact may have, on both sides."""

from __future__ import annotations

import unicodedata

import hostile_paths
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from runwire._artifact_rules import problem_of
from runwire_server.errors import FieldInvalid, TooLarge
from runwire_server.store.paths import MAX_PATH_BYTES, MAX_SEGMENT_BYTES, check_path, check_prefix

# What traversals are made of, one piece after the other.
_PIECES = (
    ".", "..", "/", "\\", " ", "a", "C:", "%2e", "%25", "2f", "%c0", "%ae", "%u002e", "\uff0e",
    "\uff0f", "\u2025", "\u200d", "\u0301", "\u202e", "\u00a0", "\x00", "e\u0301", "é", "~", ":",
)  # fmt: skip
PATHS = (
    st.text(max_size=60)
    | st.lists(st.sampled_from(_PIECES), max_size=12).map("".join)
    | st.lists(st.text(min_size=1, max_size=130), max_size=12).map("/".join)
)


def short(path: str) -> str:
    return ascii(path[:40])


@pytest.mark.parametrize("path", [*hostile_paths.GOOD, *hostile_paths.WINDOWS], ids=short)
def test_good_path_is_kept_as_it_is(path: str) -> None:
    assert check_path("path", path) == path


@pytest.mark.parametrize("path", [*hostile_paths.REFUSED, *hostile_paths.SURROGATES], ids=short)
def test_hostile_path_is_refused_with_its_field(path: str) -> None:
    with pytest.raises((FieldInvalid, TooLarge)) as caught:
        check_path("artifacts[3].path", path)
    assert caught.value.metadata["field"] == "artifacts[3].path"


@pytest.mark.parametrize("path", ["x" * 256, "é" * 128, "/".join(["d" * 100] * 11)])
def test_long_path_is_too_large(path: str) -> None:
    with pytest.raises(TooLarge):
        check_path("path", path)


def test_prefix_may_be_the_root() -> None:
    assert check_prefix("prefix", "") == ""
    with pytest.raises(FieldInvalid):
        check_prefix("prefix", "a/")


def test_decomposed_and_composed_names_are_one_path() -> None:
    assert check_path("path", unicodedata.normalize("NFD", "modèle/é")) == "modèle/é"


def _accepted(path: str) -> str | None:
    try:
        return check_path("path", path)
    except (FieldInvalid, TooLarge):
        return None


@given(PATHS)
@example("a" * MAX_SEGMENT_BYTES)
def test_accepted_path_is_normal_and_never_leaves_its_root(path: str) -> None:
    accepted = _accepted(path)
    if accepted is None:
        return
    assert check_path("path", accepted) == accepted == unicodedata.normalize("NFC", path)
    assert accepted.encode().decode() == accepted
    assert len(accepted.encode()) <= MAX_PATH_BYTES
    for form in (accepted, unicodedata.normalize("NFKC", accepted)):
        segments = form.split("/")
        assert not {"", ".", ".."} & {segment.strip() for segment in segments}
        assert not any(segment.rstrip(". ") == "" for segment in segments)
        assert not {"\\", "\x00", "\n", "\u202e"} & set(form)


@given(PATHS | st.sampled_from([*hostile_paths.REFUSED, *hostile_paths.GOOD]))
def test_client_refuses_what_the_server_refuses_and_no_more(path: str) -> None:
    assert (problem_of(path) == "") is (_accepted(path) is not None)


@pytest.mark.parametrize("path", [*hostile_paths.REFUSED, *hostile_paths.SURROGATES], ids=short)
def test_client_says_what_is_wrong_with_a_hostile_path(path: str) -> None:
    assert problem_of(path)
    assert len(problem_of(path).encode(errors="replace")) < 4000
