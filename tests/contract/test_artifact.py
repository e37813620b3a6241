"""What is promised of artifacts, on every backend and by every road."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import hostile_paths
import pytest
import runwire
from runwire.v1.artifact_pb2 import Artifact, Blob

from .blobs import MIB, blob_of, item, stored

UNKNOWN_RUN = "0" * 32


@pytest.fixture
def run_id(client: runwire.Client) -> str:
    return client.runs.create().run_id


def listed(client: runwire.Client, run_id: str) -> list[str]:
    return [found.path for found in client.artifacts.list(run_id, recursive=True)]


# Small blobs ----------------------------------------------------------------------


def test_one_bad_item_does_not_keep_back_the_others(client: runwire.Client) -> None:
    wrong_size = Blob(digest=blob_of(b"b").digest, size_bytes=7)
    items = [item(b"a"), item(b"b", wrong_size), item(b"c", blob_of(b"x")), item(b"")]
    results = client.artifacts.batch_put_blobs(items)
    assert [one.fault.reason for one in results] == ["", "FIELD_INVALID", "DIGEST_MISMATCH", ""]
    asked = [blob_of(data) for data in (b"a", b"b", b"c", b"")]
    assert list(client.artifacts.find_missing_blobs(asked)) == asked[1:3]


def test_small_files_of_a_tree_come_in_one_message(client: runwire.Client, run_id: str) -> None:
    data = {"a": b"a", "d/b": b"", "d/c": os.urandom(200_000)}
    named = [Artifact(path=path, blob=stored(client, one)) for path, one in data.items()]
    client.artifacts.commit(run_id, [*named, Artifact(path="far", uri="s3://b/k")])
    items = client.artifacts.batch_get(run_id, ["d/c", "missing", "far", "a", "d/b", "a"])
    assert [one.data for one in items] == [data["d/c"], b"", b"", b"a", b"", b"a"]
    reasons = ["", "NOT_FOUND", "FIELD_INVALID", "", "", ""]
    assert [one.fault.reason for one in items] == reasons
    assert items[0].blob == blob_of(data["d/c"])
    with pytest.raises(runwire.NotFoundError):
        client.artifacts.batch_get(UNKNOWN_RUN, ["a"])
    with pytest.raises(runwire.InvalidArgumentError):
        client.artifacts.batch_get(run_id, ["a", "../a"])


def test_more_than_a_message_of_small_files_is_too_large(
    client: runwire.Client, run_id: str
) -> None:
    client.artifacts.put(run_id, os.urandom(MIB), "a")
    assert len(client.artifacts.batch_get(run_id, ["a", "a"])) == 2
    with pytest.raises(runwire.ResourceExhaustedError) as caught:
        client.artifacts.batch_get(run_id, ["a", "a", "a"])
    assert caught.value.reason == "TOO_LARGE"


def test_batch_over_the_limit_is_too_large(client: runwire.Client) -> None:
    half = os.urandom(MIB + MIB // 2)
    with pytest.raises(runwire.ResourceExhaustedError) as caught:
        client.artifacts.batch_put_blobs([item(half), item(half[::-1])])
    assert caught.value.reason == "TOO_LARGE"
    assert len(client.artifacts.find_missing_blobs([blob_of(half)])) == 1


def test_missing_blobs_come_once_in_the_order_asked(client: runwire.Client) -> None:
    there = stored(client, b"there")
    absent = [blob_of(b"2"), blob_of(b"1")]
    assert list(client.artifacts.find_missing_blobs([absent[0], there, *absent])) == absent
    with pytest.raises(runwire.InvalidArgumentError) as caught:
        client.artifacts.find_missing_blobs([there, Blob(digest="sha256:xyz")])
    assert caught.value.metadata["field"] == "blobs[1].digest"


# Trees ----------------------------------------------------------------------------


def test_commit_is_all_or_nothing(client: runwire.Client, run_id: str) -> None:
    there, absent = stored(client, b"there"), blob_of(b"absent")
    with pytest.raises(runwire.FailedPreconditionError) as caught:
        client.artifacts.commit(
            run_id, [Artifact(path="a", blob=there), Artifact(path="b", blob=absent)]
        )
    assert caught.value.reason == "BLOBS_MISSING"
    assert caught.value.metadata["digests"] == absent.digest
    assert listed(client, run_id) == []


def test_commit_refuses_a_size_that_is_not_the_blobs(client: runwire.Client, run_id: str) -> None:
    lie = Blob(digest=stored(client, b"abc").digest, size_bytes=4)
    with pytest.raises(runwire.InvalidArgumentError) as caught:
        client.artifacts.commit(run_id, [Artifact(path="a", blob=lie)])
    assert caught.value.metadata["field"] == "artifacts[0].blob.size_bytes"
    assert listed(client, run_id) == []


def test_merge_adds_and_overwrites_and_replace_leaves_only_these(
    client: runwire.Client, run_id: str
) -> None:
    one, two = stored(client, b"one"), stored(client, b"two!")
    client.artifacts.commit(run_id, [Artifact(path="a", blob=one), Artifact(path="b", blob=one)])
    merged = client.artifacts.commit(run_id, [Artifact(path="b", blob=two)])
    assert (merged.files, merged.size_bytes) == (2, 7)
    assert client.artifacts.download(run_id, "b").read() == b"two!"
    replaced = client.artifacts.commit(run_id, [Artifact(path="c/d", blob=two)], mode="replace")
    assert listed(client, run_id) == ["c/d"]
    content = f"c/d\0{two.digest}\n".encode()
    assert replaced.tree_digest == blob_of(content).digest


def test_file_cannot_become_a_directory(client: runwire.Client, run_id: str) -> None:
    blob = stored(client, b"x")
    client.artifacts.commit(run_id, [Artifact(path="a/b", blob=blob)])
    for path in ("a", "a/b/c"):
        with pytest.raises(runwire.InvalidArgumentError) as caught:
            client.artifacts.commit(run_id, [Artifact(path=path, blob=blob)])
        assert caught.value.metadata["field"] == "artifacts[0].path"
    client.artifacts.commit(run_id, [Artifact(path="a", blob=blob)], mode="replace")
    assert listed(client, run_id) == ["a"]


def test_path_is_given_once_in_a_commit(client: runwire.Client, run_id: str) -> None:
    twice = [Artifact(path="a", blob=stored(client, b"x"))] * 2
    with pytest.raises(runwire.InvalidArgumentError):
        client.artifacts.commit(run_id, twice)
    with pytest.raises(runwire.InvalidArgumentError):
        client.artifacts.commit(run_id, [Artifact(path="nothing")])


def test_large_tree_goes_in_several_messages_and_applies_as_a_whole(
    client: runwire.Client, run_id: str
) -> None:
    blob = stored(client, b"")
    tree = [Artifact(path=f"{'deep/' * 30}{number:05}", blob=blob) for number in range(6000)]
    assert client.artifacts.commit(run_id, tree).files == 6000
    assert listed(client, run_id) == [one.path for one in tree]
    with pytest.raises(runwire.FailedPreconditionError):
        client.artifacts.commit(
            run_id, [*tree, Artifact(path="z", blob=blob_of(b"absent"))], mode="replace"
        )
    assert len(listed(client, run_id)) == 6000


def test_remembered_commit_is_not_done_again(client: runwire.Client, run_id: str) -> None:
    old = [Artifact(path="a", blob=stored(client, b"old"))]
    client.artifacts.commit(run_id, old, request_id="request-1")
    client.artifacts.commit(run_id, [Artifact(path="a", blob=stored(client, b"new"))])
    client.artifacts.commit(run_id, old, request_id="request-1")
    assert client.artifacts.download(run_id, "a").read() == b"new"
    with pytest.raises(runwire.AlreadyExistsError) as caught:
        client.artifacts.commit(run_id, [], request_id="request-1")
    assert caught.value.reason == "REQUEST_ID_REUSED"


def test_artifact_kept_elsewhere_is_listed_and_never_read(
    client: runwire.Client, run_id: str, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret")
    client.artifacts.commit(run_id, [Artifact(path="a", uri=canary.as_uri())])
    (found,) = client.artifacts.list(run_id)
    assert found.uri == canary.as_uri()
    with pytest.raises(runwire.InvalidArgumentError):
        client.artifacts.download(run_id, "a")
    assert list(client.artifacts.get(run_id, "", tmp_path / "out").iterdir()) == []


def test_unknown_and_deleted_runs_take_no_artifacts(client: runwire.Client, run_id: str) -> None:
    artifacts = [Artifact(path="a", blob=stored(client, b"x"))]
    for call in (
        lambda: client.artifacts.commit(UNKNOWN_RUN, artifacts),
        lambda: client.artifacts.list(UNKNOWN_RUN).page(),
        lambda: client.artifacts.delete(UNKNOWN_RUN, "a"),
        lambda: client.artifacts.download(UNKNOWN_RUN, "a"),
    ):
        with pytest.raises(runwire.NotFoundError):
            call()
    with pytest.raises(runwire.InvalidArgumentError):
        client.artifacts.commit("not a run", artifacts)
    client.runs.delete(run_id)
    with pytest.raises(runwire.NotFoundError) as caught:
        client.artifacts.commit(run_id, artifacts)
    assert caught.value.reason == "DELETED"
    experiment_id = client.experiments.create("in the trash").experiment_id
    within = client.runs.create(experiment_id=experiment_id).run_id
    client.experiments.delete(experiment_id)
    with pytest.raises(runwire.NotFoundError) as caught:
        client.artifacts.commit(within, artifacts)
    assert caught.value.reason == "DELETED"


def test_tree_of_a_model_version_is_read_and_sealed(client: runwire.Client, run_id: str) -> None:
    client.artifacts.put(run_id, b"weights", "model/weights.bin")
    made = client.models.create_version(
        "fraud", source_run_id=run_id, source_path="model", create_model=True
    )
    assert client.artifacts.download(model="fraud", version=1, artifact_path="weights.bin").read()
    assert [one.path for one in client.artifacts.list(model="fraud", version=1)] == ["weights.bin"]
    client.artifacts.put(run_id, b"other", "model/weights.bin")
    still = client.artifacts.download(model="fraud", version=1, artifact_path="weights.bin")
    assert still.read() == b"weights"
    assert (
        made.tree_digest == blob_of(f"weights.bin\0{blob_of(b'weights').digest}\n".encode()).digest
    )
    with pytest.raises(runwire.NotFoundError):
        client.artifacts.list(model="fraud", version=2).page()


# Lists ----------------------------------------------------------------------------


@pytest.fixture
def tree(client: runwire.Client, run_id: str) -> list[str]:
    paths = ["a", "a-b", "b/1", "b/2/3", "b/2/4", "b0", "c/c/c", "ä/é", "B"]
    blob = stored(client, b"x")
    client.artifacts.commit(run_id, [Artifact(path=path, blob=blob) for path in paths])
    return sorted(paths, key=str.encode)


@pytest.mark.parametrize("page_size", [0, 1, 2, 100])
def test_list_gives_every_entry_once(
    client: runwire.Client, run_id: str, tree: list[str], page_size: int
) -> None:
    everything = client.artifacts.list(run_id, recursive=True, page_size=page_size)
    assert [found.path for found in everything] == tree
    top = list(client.artifacts.list(run_id, page_size=page_size))
    assert sorted(found.path for found in top) == sorted(["B", "a", "a-b", "b", "b0", "c", "ä"])
    directories = [found.path for found in top if not found.HasField("blob")]
    assert sorted(directories) == ["b", "c", "ä"]


def test_list_of_a_directory_a_file_and_nothing(
    client: runwire.Client, run_id: str, tree: list[str]
) -> None:
    def paths(prefix: str) -> list[str]:
        return [found.path for found in client.artifacts.list(run_id, prefix)]

    assert paths("b") == paths("b/") == ["b/1", "b/2"]
    assert paths("b/1") == ["b/1"]
    assert paths("nothing") == []


def test_page_token_of_another_list_is_refused(
    client: runwire.Client, run_id: str, tree: list[str]
) -> None:
    token = client.artifacts.list(run_id, page_size=1).page().next_page_token
    assert client.artifacts.list(run_id, page_size=2, page_token=token).page().artifacts
    for wrong in (
        client.artifacts.list(run_id, page_size=1, recursive=True, page_token=token),
        client.artifacts.list(run_id, "b", page_size=1, page_token=token),
        client.artifacts.list(run_id, page_size=1, page_token="rubbish"),
    ):
        with pytest.raises(runwire.InvalidArgumentError) as caught:
            wrong.page()
        assert caught.value.reason == "PAGE_TOKEN_MISMATCH"
    with pytest.raises(runwire.InvalidArgumentError):
        client.artifacts.list(run_id, page_size=-1).page()


def test_delete_takes_files_and_whole_directories(
    client: runwire.Client, run_id: str, tree: list[str]
) -> None:
    assert client.artifacts.delete(run_id, ["b", "a", "nothing"]) == 4
    assert listed(client, run_id) == ["B", "a-b", "b0", "c/c/c", "ä/é"]
    assert client.artifacts.delete(run_id, "b") == 0


# Downloads ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "limit"),
    [(0, 0), (0, 1), (5, 0), (MIB - 1, 3), (-4, 0), (-4, 2), (-(1 << 40), 0), (3 * MIB, 0)],
)
def test_range_of_a_file(client: runwire.Client, run_id: str, offset: int, limit: int) -> None:
    data = os.urandom(3 * MIB)
    client.artifacts.put(run_id, data, "a")
    download = client.artifacts.download(run_id, "a", offset=offset, limit=limit)
    start = max(0, len(data) + offset) if offset < 0 else offset
    assert download.read() == data[start : start + limit if limit else None]
    assert download.blob == blob_of(data)


def test_range_outside_the_file_is_refused(client: runwire.Client, run_id: str) -> None:
    client.artifacts.put(run_id, b"abc", "a")
    for field, offset, limit in (("offset", 4, 0), ("limit", 0, -1)):
        with pytest.raises(runwire.InvalidArgumentError) as caught:
            client.artifacts.download(run_id, "a", offset=offset, limit=limit)
        assert caught.value.metadata["field"] == field


def test_download_that_is_not_read_out_can_be_closed(client: runwire.Client, run_id: str) -> None:
    client.artifacts.put(run_id, os.urandom(8 * MIB), "a")
    download = client.artifacts.download(run_id, "a")
    assert next(iter(download))
    download.close()


def test_what_is_not_there_is_not_found(client: runwire.Client, run_id: str) -> None:
    client.artifacts.put(run_id, b"x", "directory/file")
    for path in ("nothing", "directory"):
        with pytest.raises(runwire.NotFoundError):
            client.artifacts.download(run_id, path)
    with pytest.raises(runwire.NotFoundError):
        client.artifacts.download(digest=blob_of(b"never sent").digest)


# Whole transfers ------------------------------------------------------------------


def test_folder_comes_back_as_it_was(client: runwire.Client, run_id: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub" / "deep").mkdir(parents=True)
    (source / "empty").write_bytes(b"")
    (source / "sub" / "large").write_bytes(os.urandom(3 * MIB))
    for number in range(50):
        (source / "sub" / "deep" / f"{number}.bin").write_bytes(os.urandom(1000))
    seen: list[tuple[int, int]] = []
    tree = client.artifacts.put(
        run_id, source, "all", progress=lambda done, total: seen.append((done, total))
    )
    assert tree.files == 52
    assert seen[0][0] == 0
    assert seen[-1] == (3 * MIB + 50_000, 3 * MIB + 50_000)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)

    fetched = client.artifacts.get(run_id, "all", tmp_path / "out")
    assert fetched == tmp_path / "out" / "all"
    assert _contents(fetched) == _contents(source)
    assert client.artifacts.put(run_id, source, "all").tree_digest == tree.tree_digest


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_64_mib_file_comes_back_as_it_was(
    client: runwire.Client, run_id: str, tmp_path: Path
) -> None:
    source = tmp_path / "large"
    source.write_bytes(os.urandom(64 * MIB))
    client.artifacts.put(run_id, source)
    fetched = client.artifacts.get(run_id, "large", tmp_path / "out")
    assert fetched.read_bytes() == source.read_bytes()
    assert [path.name for path in fetched.parent.iterdir()] == ["large"]


def test_same_bytes_are_sent_once(client: runwire.Client, run_id: str) -> None:
    data = os.urandom(MIB)
    client.artifacts.put(run_id, data, "a")
    assert list(client.artifacts.find_missing_blobs([blob_of(data)])) == []
    client.artifacts.put(client.runs.create().run_id, data, "b")
    assert client.artifacts.put(run_id, data, "c").files == 2


def test_put_overwrites_a_file(client: runwire.Client, run_id: str, tmp_path: Path) -> None:
    client.artifacts.put(run_id, b"old", "a")
    client.artifacts.put(run_id, b"new", "a")
    assert client.artifacts.get(run_id, "a", tmp_path).read_bytes() == b"new"


def test_get_of_nothing_writes_nothing(client: runwire.Client, run_id: str, tmp_path: Path) -> None:
    with pytest.raises(runwire.NotFoundError):
        client.artifacts.get(run_id, "nothing", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Hostile paths --------------------------------------------------------------------

Call = Callable[[runwire.Client, str, str], object]

WITH_A_PATH: dict[str, Call] = {
    "commit": lambda client, run_id, path: client.artifacts.commit(
        run_id, [Artifact(path=path, blob=stored(client, b"x"))]
    ),
    "put": lambda client, run_id, path: client.artifacts.put(run_id, b"x", path),
    "delete": lambda client, run_id, path: client.artifacts.delete(run_id, path),
    "download": lambda client, run_id, path: client.artifacts.download(run_id, path),
    "get": lambda client, run_id, path: client.artifacts.get(run_id, f"{path}/x", "out"),
    "list": lambda client, run_id, path: client.artifacts.list(run_id, f"{path}/x").page(),
    "list_recursive": lambda client, run_id, path: client.artifacts.list(
        run_id, f"{path}/x/y", recursive=True
    ).page(),
    "source_path": lambda client, run_id, path: client.models.create_version(
        "m", create_model=True, source_run_id=run_id, source_path=f"{path}/x"
    ),
    "create_version": lambda client, run_id, path: client.models.create_version(
        "m", create_model=True, artifacts=[Artifact(path=path, blob=stored(client, b"x"))]
    ),
}


@pytest.mark.parametrize("name", WITH_A_PATH)
def test_hostile_paths_are_refused_by_every_call_that_takes_one(
    client: runwire.Client, run_id: str, tmp_path: Path, name: str
) -> None:
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    client.artifacts.put(run_id, b"before", "before")
    for path in hostile_paths.REFUSED:
        with pytest.raises(
            (runwire.InvalidArgumentError, runwire.ResourceExhaustedError)
        ) as caught:
            WITH_A_PATH[name](client, run_id, path)
        assert caught.value.reason in ("FIELD_INVALID", "TOO_LARGE"), path
    assert listed(client, run_id) == ["before"]
    assert canary.read_text() == "untouched"
