"""What the registry promises about what was made from what."""

from __future__ import annotations

import pytest
import runwire
from runwire.v1.artifact_pb2 import ModelVersionKey
from runwire.v1.registry_service_pb2 import LineageNode, QueryLineageResponse
from runwire.v1.run_pb2 import DatasetInput, ForkPoint

TRAINING, SWEEP, FORK, CHILD = (f"{number:032x}" for number in range(1, 5))


@pytest.fixture(autouse=True)
def history(client: runwire.Client) -> None:
    """cards and labels -> TRAINING (a child of SWEEP) -> fraud/1 -> prod/1 -> eu/1; TRAINING is
    forked into FORK -> fraud/2, and has CHILD; fraud/3 is kept elsewhere."""
    inputs = [
        DatasetInput(name="cards 2025", digest="cards"),
        DatasetInput(name="labels", digest="labels"),
        DatasetInput(name="of no digest"),
    ]
    client.runs.create(run_id=SWEEP, name="sweep")
    client.runs.create(run_id=TRAINING, name="training", parent_run_id=SWEEP, inputs=inputs)
    client.runs.create(run_id=FORK, forked_from=ForkPoint(run_id=TRAINING, step=5))
    client.runs.create(run_id=CHILD, parent_run_id=TRAINING)
    for run_id in (TRAINING, FORK):
        client.artifacts.put(run_id, b"weights", "model/weights.bin")
        client.models.create_version("fraud", source_run_id=run_id, create_model=True)
    client.models.create_version("fraud", source_uri="s3://elsewhere")
    client.models.create_version("prod", source_version=("fraud", 1), create_model=True)
    client.models.create_version("eu", source_version=("prod", 1), create_model=True)


def version(model: str, number: int) -> LineageNode:
    return LineageNode(model_version=ModelVersionKey(model=model, version=number))


def name(node: LineageNode) -> str:
    key = node.model_version
    kind = node.WhichOneof("node")
    if kind == "model_version":
        return f"{key.model}/{key.version}"
    names = {TRAINING: "training", SWEEP: "sweep", FORK: "fork", CHILD: "child"}
    return names.get(node.run_id) or node.dataset_digest or node.uri or node.run_id


def names(answer: QueryLineageResponse) -> set[str]:
    return {name(node) for node in answer.nodes}


def edges(answer: QueryLineageResponse) -> set[str]:
    return {
        f"{name(answer.nodes[edge.source])} {edge.role} {name(answer.nodes[edge.target])}"
        for edge in answer.edges
    }


def test_lineage_upstream_leads_to_datasets_and_parents(client: runwire.Client) -> None:
    answer = client.models.query_lineage(version("eu", 1), direction="UPSTREAM")
    assert edges(answer) == {
        "prod/1 copied eu/1",
        "fraud/1 copied prod/1",
        "training registered fraud/1",
        "sweep child training",
        "cards input training",
        "labels input training",
    }
    assert name(answer.nodes[0]) == "eu/1"
    assert not answer.truncated


def test_lineage_downstream_leads_to_every_version(client: runwire.Client) -> None:
    root = LineageNode(dataset_digest="cards")
    answer = client.models.query_lineage(root, direction="DOWNSTREAM")
    assert edges(answer) == {
        "cards input training",
        "training registered fraud/1",
        "training forked fork",
        "training child child",
        "fork registered fraud/2",
        "fraud/1 copied prod/1",
        "prod/1 copied eu/1",
    }
    assert answer.nodes[0].label == "cards 2025"


def test_lineage_both_ways_leaves_siblings_out(client: runwire.Client) -> None:
    answer = client.models.query_lineage(version("fraud", 1))
    assert names(answer) == {
        *("fraud/1", "training", "sweep", "cards", "labels"),
        *("prod/1", "eu/1"),
    }
    of_run = client.models.query_lineage(LineageNode(run_id=FORK))
    assert names(of_run) == {"fork", "training", "sweep", "cards", "labels", "fraud/2"}


def test_lineage_of_a_uri_leads_to_the_versions_that_note_it(client: runwire.Client) -> None:
    answer = client.models.query_lineage(LineageNode(uri="s3://elsewhere"))
    assert edges(answer) == {"s3://elsewhere registered fraud/3"}


def test_limits_of_lineage_are_kept_and_said(client: runwire.Client) -> None:
    near = client.models.query_lineage(version("fraud", 1), max_hops=1)
    assert names(near) == {"fraud/1", "training", "prod/1"}
    assert near.truncated
    few = client.models.query_lineage(version("fraud", 1), max_nodes=2)
    assert (len(few.nodes), len(few.edges), few.truncated) == (2, 1, True)
    assert name(few.nodes[0]) == "fraud/1"
    whole = client.models.query_lineage(version("fraud", 1), max_hops=3, max_nodes=7)
    assert (len(whole.nodes), whole.truncated) == (7, False)
    with pytest.raises(runwire.InvalidArgumentError):
        client.models.query_lineage(version("fraud", 1), max_hops=-1)


def test_trash_is_part_of_lineage_and_said(client: runwire.Client) -> None:
    client.runs.delete(TRAINING)
    client.models.delete("prod")
    client.models.delete_version("eu", 1)
    answer = client.models.query_lineage(version("fraud", 1))
    deleted = {name(node): node.deleted for node in answer.nodes}
    assert {one for one, gone in deleted.items() if gone} == {"training", "prod/1", "eu/1"}


def test_renamed_model_is_in_lineage_by_its_new_name(client: runwire.Client) -> None:
    client.models.update("prod", new_name="live")
    answer = client.models.query_lineage(version("eu", 1), direction="UPSTREAM", max_hops=1)
    assert edges(answer) == {"live/1 copied eu/1"}


@pytest.mark.parametrize(
    "root",
    [
        version("nobody", 1),
        version("fraud", 9),
        LineageNode(run_id="f" * 32),
        LineageNode(dataset_digest="unused"),
        LineageNode(uri="s3://nothing"),
    ],
    ids=["model", "version", "run", "dataset", "uri"],
)
def test_lineage_of_what_is_not_there_is_not_found(
    client: runwire.Client, root: LineageNode
) -> None:
    with pytest.raises(runwire.NotFoundError):
        client.models.query_lineage(root)


def test_dataset_that_was_used_is_found_whichever_way_is_asked(client: runwire.Client) -> None:
    root = LineageNode(dataset_digest="cards")
    assert names(client.models.query_lineage(root, direction="UPSTREAM")) == {"cards"}
    with pytest.raises(runwire.NotFoundError):
        client.models.query_lineage(root, workspace="other")


def test_root_must_be_named(client: runwire.Client) -> None:
    for root in (LineageNode(), LineageNode(uri=""), LineageNode(run_id="x")):
        with pytest.raises(runwire.InvalidArgumentError):
            client.models.query_lineage(root)
