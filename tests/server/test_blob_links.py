"""Links that somebody put among the blobs of a folder: nothing is read or written through them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from runwire_server.blobs import BlobStore, open_blobs
from runwire_server.errors import StorageUnavailable

KEY = "blobs/default/sha256/ab/cdef"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "canary"
    path.write_bytes(b"untouched and unread")
    return path


@pytest.fixture
def store(tmp_path: Path, canary: Path) -> BlobStore:
    place = tmp_path / "store" / KEY
    place.parent.mkdir(parents=True)
    place.symlink_to(canary)
    return open_blobs(str(tmp_path / "store"))


def test_link_is_no_blob(store: BlobStore) -> None:
    assert store.stat(KEY) is None
    with pytest.raises(StorageUnavailable) as caught:
        list(store.stream(KEY, 0, 20))
    assert "canary" not in str(caught.value)


def test_blob_takes_the_place_of_a_link(store: BlobStore, tmp_path: Path, canary: Path) -> None:
    store.put(KEY, b"blob")
    assert (tmp_path / "store" / KEY).read_bytes() == b"blob"
    assert not (tmp_path / "store" / KEY).is_symlink()
    assert b"".join(store.stream(KEY, 0, 4)) == b"blob"
    assert canary.read_bytes() == b"untouched and unread"


def test_link_is_removed_and_what_it_leads_to_is_not(store: BlobStore, canary: Path) -> None:
    store.delete(KEY)
    assert canary.exists()


def test_folder_of_an_upload_that_is_a_link_is_not_emptied(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "canary").write_text("untouched")
    (tmp_path / "store" / "uploads").mkdir(parents=True)
    (tmp_path / "store" / "uploads" / "u").symlink_to(elsewhere)
    store = open_blobs(str(tmp_path / "store"))
    assert list(store.list()) == []
    with suppress(StorageUnavailable):
        store.drop_upload("u")
    assert (elsewhere / "canary").read_text() == "untouched"


def test_store_may_itself_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk")
    store = open_blobs(str(tmp_path / "store"))
    store.put(KEY, b"blob")
    assert (store.stat(KEY), b"".join(store.stream(KEY, 0, 4))) == (4, b"blob")
