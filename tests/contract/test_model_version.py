"""What the registry promises of versions: their content, their sources, their numbers."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import runwire
from runwire.v1.artifact_pb2 import Artifact, Blob
from runwire.v1.model_pb2 import Model


def test_version_seals_the_artifacts_of_a_run(client: runwire.Client, run_id: str) -> None:
    version = client.models.create_version(
        "fraud", source_run_id=run_id, source_path="model", create_model=True
    )
    assert (version.model, version.version, version.stage) == ("fraud", 1, "none")
    assert (version.source_run_id, version.source_path) == (run_id, "model")
    client.artifacts.put(run_id, b"other weights", "model/weights.bin")
    client.artifacts.delete(run_id, "model/config.json")
    kept = list(client.artifacts.list(model="fraud", version=1))
    assert [artifact.path for artifact in kept] == ["config.json", "weights.bin"]
    data = client.artifacts.download(model="fraud", version=1, artifact_path="weights.bin").read()
    assert data == b"weights"
    assert client.models.get_version("fraud", 1).tree_digest == version.tree_digest


def test_same_content_has_the_same_tree_digest(client: runwire.Client, run_id: str) -> None:
    def digest(path: str) -> str:
        return client.models.create_version(
            "fraud", source_run_id=run_id, source_path=path, create_model=True
        ).tree_digest

    assert digest("model") == digest("model")
    assert digest("model") != digest("notes.txt") != digest("")


def test_version_of_one_file_holds_it_under_its_name(client: runwire.Client, run_id: str) -> None:
    client.models.create_version(
        "fraud", source_run_id=run_id, source_path="model/weights.bin", create_model=True
    )
    (kept,) = client.artifacts.list(model="fraud", version=1)
    assert kept.path == "weights.bin"


def test_version_is_published_from_sent_artifacts(client: runwire.Client, run_id: str) -> None:
    (stored,) = client.artifacts.list(run_id, "notes.txt")
    version = client.models.create_version(
        "fraud", artifacts=[Artifact(path="a/b.txt", blob=stored.blob)], create_model=True
    )
    assert version.tree_digest
    (kept,) = client.artifacts.list(model="fraud", version=1, recursive=True)
    assert (kept.path, kept.blob) == ("a/b.txt", stored.blob)


def test_sent_artifacts_without_their_bytes_are_refused(client: runwire.Client) -> None:
    absent = Artifact(path="a", blob=Blob(digest="sha256:" + "0" * 64, size_bytes=1))
    with pytest.raises(runwire.FailedPreconditionError) as caught:
        client.models.create_version("fraud", artifacts=[absent], create_model=True)
    assert caught.value.reason == "BLOBS_MISSING"
    with pytest.raises(runwire.NotFoundError):
        client.models.get("fraud")


def test_uri_is_noted_and_never_read(client: runwire.Client) -> None:
    uri = "s3://nowhere.invalid/model"
    version = client.models.create_version("fraud", source_uri=uri, create_model=True)
    assert (version.source_uri, version.tree_digest) == (uri, "")


@pytest.mark.parametrize("path", ["nothing", "mod", "model/weights.bin/x"])
def test_source_path_without_artifacts_is_not_found(
    client: runwire.Client, run_id: str, path: str
) -> None:
    with pytest.raises(runwire.NotFoundError):
        client.models.create_version(
            "fraud", source_run_id=run_id, source_path=path, create_model=True
        )


@pytest.mark.parametrize("path", ["../model", "/model", "model/../..", "a\x00b"])
def test_hostile_source_path_is_refused(client: runwire.Client, run_id: str, path: str) -> None:
    with pytest.raises(runwire.InvalidArgumentError):
        client.models.create_version(
            "fraud", source_run_id=run_id, source_path=path, create_model=True
        )


def test_version_of_an_unknown_or_deleted_run_is_not_found(
    client: runwire.Client, run_id: str
) -> None:
    with pytest.raises(runwire.NotFoundError):
        client.models.create_version("fraud", source_run_id="0" * 32, create_model=True)
    client.runs.delete(run_id)
    with pytest.raises(runwire.NotFoundError) as caught:
        client.models.create_version("fraud", source_run_id=run_id, create_model=True)
    assert caught.value.reason == "DELETED"


def test_run_of_another_workspace_is_not_found(client: runwire.Client, run_id: str) -> None:
    with pytest.raises(runwire.NotFoundError):
        client.models.create_version(
            "fraud", source_run_id=run_id, create_model=True, workspace="other"
        )


def test_version_of_an_unknown_model_is_refused_unless_it_may_be_made(
    client: runwire.Client,
) -> None:
    with pytest.raises(runwire.NotFoundError):
        client.models.create_version("fraud", source_uri="s3://x")


def test_version_needs_exactly_one_source(client: runwire.Client, run_id: str) -> None:
    client.models.create("fraud")
    with pytest.raises(runwire.InvalidArgumentError):
        client.models.create_version("fraud")
    with pytest.raises(runwire.InvalidArgumentError):
        client.models.create_version("fraud", source_run_id=run_id, source_uri="s3://x")


def test_versions_made_at_once_have_dense_numbers(client: runwire.Client) -> None:
    client.models.create("fraud")
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(
            lambda _: client.models.create_version("fraud", source_uri="s3://x").version, range(16)
        )
    assert sorted(made) == list(range(1, 17))


def test_repeated_publication_returns_the_version_it_made(
    client: runwire.Client, run_id: str
) -> None:
    request_id = uuid.uuid4().hex
    made = [
        client.models.create_version(
            "fraud", source_run_id=run_id, create_model=True, request_id=request_id
        )
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert client.models.get("fraud").latest_version == 1


def test_publication_moves_aliases_with_it(client: runwire.Client, fraud: Model) -> None:
    client.models.set_alias("fraud", "champion", 1)
    version = client.models.create_version(
        "fraud", source_uri="s3://x", aliases=["champion", "newest"]
    )
    assert sorted(version.aliases) == ["champion", "newest"]
    assert dict(client.models.get("fraud").aliases) == {"champion": 4, "newest": 4}
    assert list(client.models.get_version("fraud", 1).aliases) == []


def test_version_keeps_notes_and_signature(client: runwire.Client) -> None:
    signature = json.dumps({"inputs": [{"name": "x", "type": "double"}]})
    version = client.models.create_version(
        "fraud",
        source_uri="s3://x",
        description="first",
        tags={"a": "1"},
        signature=signature,
        create_model=True,
    )
    assert version == client.models.get_version("fraud", 1)
    changed = client.models.update_version("fraud", 1, description="better", tags={"b": "2"})
    assert (changed.description, dict(changed.tags)) == ("better", {"a": "1", "b": "2"})
    assert changed.signature == signature


def test_deleted_version_is_gone_and_its_number_with_it(
    client: runwire.Client, fraud: Model
) -> None:
    client.models.set_alias("fraud", "champion", 3)
    client.models.delete_version("fraud", 3)
    with pytest.raises(runwire.NotFoundError):
        client.models.get_version("fraud", 3)
    with pytest.raises(runwire.NotFoundError):
        client.models.resolve("fraud@champion")
    assert client.models.resolve("fraud/latest").version == 2
    assert client.models.create_version("fraud", source_uri="s3://x").version == 4


def test_versions_are_searched_by_model_stage_alias_tag_and_run(
    client: runwire.Client, fraud: Model, run_id: str
) -> None:
    client.models.create_version("churn", source_uri="s3://x", create_model=True)
    client.models.transition_version("fraud", 2, "production")
    client.models.set_alias("fraud", "champion", 3)
    client.models.update_version("fraud", 1, tags={"checked": "yes"})

    def found(filter: str) -> list[tuple[str, int]]:
        return [(one.model, one.version) for one in client.models.search_versions(filter)]

    assert found("") == [("churn", 1), ("fraud", 3), ("fraud", 2), ("fraud", 1)]
    assert found("model = 'fraud' AND version >= 2") == [("fraud", 3), ("fraud", 2)]
    assert found("stage = 'production'") == [("fraud", 2)]
    assert found("alias = 'champion'") == [("fraud", 3)]
    assert found("tags.checked = 'yes'") == [("fraud", 1)]
    assert found(f"source_run_id = '{run_id}' AND NOT version = 1") == [("fraud", 3), ("fraud", 2)]


def test_versions_are_paged_without_repetition(client: runwire.Client) -> None:
    client.models.create("fraud")
    for _ in range(7):
        client.models.create_version("fraud", source_uri="s3://x")
    listed = client.models.search_versions("model = 'fraud'", page_size=3)
    assert [one.version for one in listed] == [7, 6, 5, 4, 3, 2, 1]


def test_workspaces_do_not_see_each_other(client: runwire.Client, fraud: Model) -> None:
    client.models.create("fraud", workspace="other")
    assert client.models.get("fraud", workspace="other").latest_version == 0
    assert list(client.models.search_versions(workspace="other")) == []
    with pytest.raises(runwire.NotFoundError):
        client.models.resolve("fraud/1", workspace="other")
