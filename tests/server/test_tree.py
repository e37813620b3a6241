"""Trees of artifacts in the store: digests, copies, conflicts, listings."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from runwire.v1.artifact_pb2 import Artifact
from runwire_server.errors import FieldInvalid, NotFound
from runwire_server.store import artifact, artifact_list, blob
from runwire_server.store import page as paging
from runwire_server.store.database import Database, Transaction
from runwire_server.store.tables import artifacts

from .artifacts import add_run, blob_of, digest_of


def entry(path: str, data: bytes = b"") -> Artifact:
    return Artifact(path=path, blob=blob_of(data))


@pytest.fixture
def tx(db: Database) -> Iterator[Transaction]:
    """A transaction in which the bytes "", "a" and "b" are stored."""
    with db.write() as opened:
        blob.add(opened, "default", {digest_of(data): len(data) for data in (b"", b"a", b"b")})
        yield opened


@pytest.fixture
def owner(db: Database) -> str:
    return artifact.run_owner(add_run(db))


def paths(tx: Transaction, owner: str) -> list[str]:
    return [
        row.path
        for row in tx.execute(
            sa.select(artifacts.c.path).where(artifacts.c.owner == owner).order_by(artifacts.c.path)
        )
    ]


def test_tree_digest_has_the_documented_form(owner: str, tx: Transaction) -> None:
    elsewhere = Artifact(path="z", uri="s3://b/k")
    tree = artifact.commit(tx, owner, [elsewhere, entry("b", b"b"), entry("a/x", b"a")])
    lines = [
        b"a/x\0" + digest_of(b"a").encode(),
        b"b\0" + digest_of(b"b").encode(),
        b"z\0uri:s3://b/k",
    ]
    content = b"".join(line + b"\n" for line in lines)
    assert tree == (digest_of(content), 3, 2)
    assert artifact.tree_digest(tx, owner, "a") == (
        digest_of(b"x\0" + digest_of(b"a").encode() + b"\n"), 1, 1
    )  # fmt: skip
    assert artifact.tree_digest(tx, owner, "nothing") == (digest_of(b""), 0, 0)


def test_copied_tree_has_the_digest_of_its_source(owner: str, tx: Transaction) -> None:
    artifact.commit(tx, owner, [entry("m/a", b"a"), entry("m/d/b", b"b"), entry("other")])
    target = artifact.version_owner("default", "f" * 32, 1)
    copied = artifact.copy_tree(tx, owner, "m", target)
    assert copied == artifact.tree_digest(tx, owner, "m") == artifact.tree_digest(tx, target)
    assert paths(tx, target) == ["a", "d/b"]


def test_copy_of_one_file_keeps_its_name(owner: str, tx: Transaction) -> None:
    artifact.commit(tx, owner, [entry("m/model.pkl", b"a")])
    target = artifact.version_owner("default", "f" * 32, 1)
    assert artifact.copy_tree(tx, owner, "m/model.pkl", target).files == 1
    assert paths(tx, target) == ["model.pkl"]


def test_copy_of_nothing_or_to_another_workspace_is_refused(owner: str, tx: Transaction) -> None:
    artifact.commit(tx, owner, [entry("a")])
    with pytest.raises(NotFound):
        artifact.copy_tree(tx, owner, "b", artifact.version_owner("default", "f" * 32, 1))
    with pytest.raises(FieldInvalid):
        artifact.copy_tree(tx, owner, "a", artifact.version_owner("other/team", "f" * 32, 1))


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize(
    ("stored", "sent"),
    [("a", "a/b"), ("a/b", "a"), ("a/b/c/d", "a/b"), ("a/b", "a/b/c/d")],
)
def test_path_is_a_file_or_a_directory_never_both(
    owner: str, tx: Transaction, stored: str, sent: str, bulk: bool
) -> None:
    """``bulk``: so many paths that the whole tree is read to check them."""
    others = [entry(f"other/{index}") for index in range(200 if bulk else 1)]
    artifact.commit(tx, owner, [entry(stored)])
    with pytest.raises(FieldInvalid, match="cannot be a file and also the directory"):
        artifact.commit(tx, owner, [*others, entry(sent)])
    assert paths(tx, owner) == [stored]
    artifact.commit(tx, owner, [entry(f"{stored}-x"), entry("a0"), *others])


def names(listing: artifact_list.Listing) -> list[str]:
    return [made.path for made in listing.artifacts] + [f"{name}/" for name in listing.directories]


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
@pytest.mark.parametrize("recursive", [False, True])
def test_every_entry_is_listed_once_whatever_the_page_size(
    owner: str, tx: Transaction, page_size: int, recursive: bool
) -> None:
    stored = ["a", "a-b", "a.b/x", "b/1", "b/2/3", "b/2/4", "b0", "c/c/c", "ä/é", "B", "d/x/y"]
    artifact.commit(tx, owner, [entry(path) for path in stored])
    seen, token = [], ""
    while True:
        page = artifact_list.list_page(
            tx, owner, recursive=recursive, page_size=page_size, page_token=token
        )
        seen += names(page)
        assert len(names(page)) <= page_size
        token = page.next_page_token
        if not token:
            break
    top = ["a", "a-b", "a.b/", "b/", "b0", "c/", "ä/", "B", "d/"]
    assert sorted(seen) == sorted(stored if recursive else top)


def test_listing_is_in_the_order_of_bytes(owner: str, tx: Transaction) -> None:
    """Ranges of paths and page positions need it, so no locale of a database may sort."""
    stored = ["B", "a", "a-b", "a/c", "a0", "b", "Ä", "_", "é"]
    artifact.commit(tx, owner, [entry(path) for path in stored if path != "a"])
    listed = artifact_list.list_page(tx, owner, recursive=True).artifacts
    assert [made.path for made in listed] == sorted(
        (path for path in stored if path != "a"), key=str.encode
    )


def test_prefix_is_a_directory_or_one_file_never_part_of_a_name(
    owner: str, tx: Transaction
) -> None:
    artifact.commit(tx, owner, [entry("ab/c"), entry("ab/d/e"), entry("abc"), entry("a%/x")])
    assert names(artifact_list.list_page(tx, owner, prefix="ab")) == ["ab/c", "ab/d/"]
    assert names(artifact_list.list_page(tx, owner, prefix="abc")) == ["abc"]
    assert names(artifact_list.list_page(tx, owner, prefix="a")) == []
    assert names(artifact_list.list_page(tx, owner, prefix="a%")) == ["a%/x"]


def test_listing_a_level_reads_few_rows_of_a_large_tree(owner: str, tx: Transaction) -> None:
    artifact.commit(tx, owner, [entry(f"d{n % 5}/{n:05}") for n in range(5000)])
    before = tx.execute
    read = 0

    def counted(*arguments: object) -> object:
        nonlocal read
        rows = before(*arguments).all()  # type: ignore[arg-type]
        read += len(rows)

        class Rows:
            def all(self) -> Sequence[object]:
                return rows

        return Rows()

    tx.execute = counted  # type: ignore[method-assign, assignment]
    listing = artifact_list.list_page(tx, owner, page_size=10)
    assert listing.directories == ["d0", "d1", "d2", "d3", "d4"]
    assert read < 100


# Very large trees -----------------------------------------------------------------


def steps_of(db: Database, work: Callable[[Transaction], object]) -> int:
    """How many steps SQLite's machine takes for it, in tens."""
    with db.read() as tx:
        driver: Any = tx.connection.connection.driver_connection
        count = itertools.count()
        driver.set_progress_handler(lambda: next(count) < 0, 10)
        work(tx)
        driver.set_progress_handler(None, 0)
    return next(count)


@pytest.mark.parametrize("recursive", [True, False])
def test_page_of_100_000_files_costs_the_same_wherever_it_is(db: Database, recursive: bool) -> None:
    if db.is_postgres:
        pytest.skip("its steps cannot be counted; it has the same index")
    owner, size = artifact.run_owner(add_run(db)), 100_000
    columns = {"workspace": "default", "size_bytes": 0, "uri": "", "media_type": ""}
    with db.write() as tx:
        rows = [
            {"owner": owner, "path": f"d/{n:06}", "digest": digest_of(b""), "modify_time": 0}
            | columns
            for n in range(size)
        ]
        tx.execute(sa.insert(artifacts), rows)

    def page(token: str, found: list[artifact_list.Listing]) -> int:
        def read(tx: Transaction) -> None:
            listing = artifact_list.list_page(
                tx, owner, prefix="d", recursive=recursive, page_size=100, page_token=token
            )
            found.append(listing)

        return steps_of(db, read)

    found: list[artifact_list.Listing] = []
    first = page("", found)
    hashed = paging.query_hash("artifacts", owner, "d", recursive)
    last = page(paging.encode([f"d/{size - 101:06}", 0], hashed), found)
    assert [one.path for one in found[0].artifacts] == [f"d/{n:06}" for n in range(100)]
    assert [one.path for one in found[1].artifacts] == [f"d/{n:06}" for n in range(99_900, size)]
    assert found[1].next_page_token == ""
    assert last <= 1.5 * first
    root = steps_of(db, lambda tx: artifact_list.list_page(tx, owner))
    assert root < 100 * first  # the directory is jumped over
