"""Lineage is bounded, whatever graph it meets."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa
from runwire.v1 import registry_service_pb2 as pb
from runwire.v1.artifact_pb2 import ModelVersionKey
from runwire.v1.run_pb2 import DatasetInput
from runwire_server.inprocess import InProcessContext
from runwire_server.limits import LIMITS
from runwire_server.services.model import RegistryService
from runwire_server.store import model_edges, model_lineage
from runwire_server.store.database import Database
from runwire_server.store.registry import Registry
from runwire_server.store.tables import runs

from server.batches import new_run


def lineage(db: Database, **fields: object) -> pb.QueryLineageResponse:
    request = pb.QueryLineageRequest(**fields)  # type: ignore[arg-type]
    with db.read() as tx:
        return model_lineage.query(tx, request)


def publish(db: Database, **fields: object) -> None:
    request = pb.CreateModelVersionRequest(**{"model": "m", "create_model": True, **fields})  # type: ignore[arg-type]
    RegistryService(db, Registry(db), threading.Event()).CreateModelVersion(
        request, InProcessContext(None, ())
    )


def test_runs_that_are_each_others_parents_end(db: Database) -> None:
    ring = [f"{number:032x}" for number in range(5)]
    for number, run_id in enumerate(ring):
        new_run(db, run_id=run_id, parent_run_id=ring[number - 1])
    for direction in ("DIRECTION_UPSTREAM", "DIRECTION_DOWNSTREAM", "DIRECTION_BOTH"):
        answer = lineage(db, root=pb.LineageNode(run_id=ring[0]), direction=direction)
        assert {node.run_id for node in answer.nodes} == set(ring)
        assert len(answer.edges) == 5
        assert not answer.truncated


def test_run_that_is_its_own_parent_is_one_node(db: Database) -> None:
    run_id = new_run(db)
    with db.write() as tx:
        tx.execute(sa.update(runs).values(parent_run_id=run_id, forked_run_id=run_id))
    answer = lineage(db, root=pb.LineageNode(run_id=run_id))
    assert (len(answer.nodes), sorted(edge.role for edge in answer.edges)) == (
        1,
        ["child", "forked"],
    )


def test_long_chain_is_cut_at_the_limit_of_hops(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_lineage, "MAX_HOPS", 4)
    chain = [f"{number:032x}" for number in range(8)]
    for before, run_id in zip(["", *chain], chain, strict=False):
        new_run(db, run_id=run_id, parent_run_id=before)
    cut = lineage(db, root=pb.LineageNode(run_id=chain[0]), max_hops=1000)
    assert ([node.run_id for node in cut.nodes], cut.truncated) == (chain[:5], True)
    whole = lineage(db, root=pb.LineageNode(run_id=chain[3]))
    assert (len(whole.nodes), whole.truncated) == (8, False)


def test_many_runs_of_one_dataset_are_cut_at_the_limit_of_nodes(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_lineage, "MAX_NODES", 10)
    for _ in range(12):
        new_run(db, inputs=[DatasetInput(name="d", digest="d")])
    answer = lineage(db, root=pb.LineageNode(dataset_digest="d"), max_nodes=1_000_000)
    assert (len(answer.nodes), len(answer.edges), answer.truncated) == (10, 9, True)
    assert {edge.source for edge in answer.edges} == {0}


def test_edges_are_limited_and_that_is_said(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_lineage, "MAX_EDGES", 3)
    inputs = [DatasetInput(name=name, digest=name) for name in "abcde"]
    answer = lineage(db, root=pb.LineageNode(run_id=new_run(db, inputs=inputs)))
    assert (len(answer.edges), answer.truncated) == (3, True)


def test_answer_of_the_longest_names_fits_a_message(db: Database) -> None:
    longest = "ü" * (LIMITS.max_key_bytes // 2)
    inputs = [DatasetInput(name=longest, digest=f"{number:0512}") for number in range(1100)]
    parent = new_run(db, name=longest, inputs=inputs[:600])
    root = pb.LineageNode(run_id=new_run(db, inputs=inputs[600:], parent_run_id=parent))
    answer = lineage(db, root=root)
    assert (len(answer.nodes), answer.truncated) == (model_lineage.MAX_NODES, True)
    assert answer.ByteSize() < LIMITS.max_message_bytes
    assert max(max(edge.source, edge.target) for edge in answer.edges) < len(answer.nodes)


def test_versions_of_a_uri_are_found_by_an_index(db: Database) -> None:
    """URIs that begin alike further than the index goes are still told apart."""
    place = "s3://" + "p" * 600
    for name in "ab":
        publish(db, source_uri=f"{place}/{name}")
    answer = lineage(db, root=pb.LineageNode(uri=f"{place}/b"))
    assert [node.model_version.version for node in answer.nodes[1:]] == [2]
    query = model_edges.versions_at(["s3://x"], "default")
    with db.read() as tx:
        if db.is_postgres:
            tx.execute(sa.text("SET LOCAL enable_seqscan = off"))
        how = "EXPLAIN" if db.is_postgres else "EXPLAIN QUERY PLAN"
        bound = query.compile(tx.connection, compile_kwargs={"render_postcompile": True})
        lines = tx.connection.exec_driver_sql(f"{how} {bound}", _values(bound)).all()
    assert any("ix_model_versions_source_uri" in str(line) for line in lines), lines


def _values(bound: Any) -> Any:
    """As the driver takes them."""
    return (
        tuple(bound.params[name] for name in bound.positiontup)
        if bound.positional
        else bound.params
    )


def test_version_of_a_name_that_was_used_again_is_told_apart(db: Database) -> None:
    run_id = new_run(db)
    service, context = (
        RegistryService(db, Registry(db), threading.Event()),
        InProcessContext(None, ()),
    )
    publish(db, source_uri="s3://x")
    publish(db, model="copy", source_version=ModelVersionKey(model="m", version=1))
    service.DeleteModel(pb.DeleteModelRequest(name="m"), context)
    publish(db, source_uri="s3://y")
    copy = ModelVersionKey(model="copy", version=1)
    answer = lineage(db, root=pb.LineageNode(model_version=copy))
    of_m = [node.deleted for node in answer.nodes if node.model_version.model == "m"]
    assert of_m == [True]
    assert run_id not in {node.run_id for node in answer.nodes}
