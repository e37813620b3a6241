"""What something was made from, and what was made from it.

Found breadth first, a few queries for each hop, each node looked at once: cycles end, and
hops, nodes and edges are all bounded, and with them the answer: only one of its nodes can be
a long URI. Where a bound cut something off, the answer says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from runwire.v1.artifact_pb2 import ModelVersionKey
from runwire.v1.registry_service_pb2 import (
    LineageEdge,
    LineageNode,
    QueryLineageRequest,
    QueryLineageResponse,
)

from runwire_server.errors import FieldInvalid, NotFound
from runwire_server.limits import check_value
from runwire_server.store import model_row, run_row
from runwire_server.store.database import Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.model_edges import DOWNSTREAM, UPSTREAM, Edge, Finder, Node, among
from runwire_server.store.tables import model_versions, models, runs

MAX_HOPS = 100
MAX_NODES = 1000
MAX_EDGES = 10_000
LABEL_CHARACTERS = 200

_WAYS: dict[int, Sequence[Mapping[str, Sequence[Finder]]]] = {
    QueryLineageRequest.DIRECTION_UNSPECIFIED: (UPSTREAM, DOWNSTREAM),
    QueryLineageRequest.DIRECTION_UPSTREAM: (UPSTREAM,),
    QueryLineageRequest.DIRECTION_DOWNSTREAM: (DOWNSTREAM,),
    QueryLineageRequest.DIRECTION_BOTH: (UPSTREAM, DOWNSTREAM),
}


def query(tx: Transaction, request: QueryLineageRequest) -> QueryLineageResponse:
    """The root, its ancestors and its descendants. Raises ``NotFound``, ``Deleted`` (a version),
    ``FieldInvalid``."""
    workspace = workspace_of(request.workspace)
    hops = _limit("max_hops", request.max_hops, MAX_HOPS)
    root = _root(tx, request.root, workspace)
    graph = _Graph(root, _limit("max_nodes", request.max_nodes, MAX_NODES))
    ways = _WAYS.get(request.direction)
    if ways is None:
        raise FieldInvalid("direction", "not one of UPSTREAM, DOWNSTREAM, BOTH")
    for way in ways:
        graph.grow(tx, workspace, way, hops)
    if root.kind in ("dataset", "uri") and not graph.edges and not _is_used(tx, workspace, root):
        raise NotFound(root.kind, root.key[:LABEL_CHARACTERS])
    return _message(tx, graph)


class _Graph:
    """Nodes by their place in the answer, edges, and whether something did not fit."""

    def __init__(self, root: Node, max_nodes: int):
        self.nodes = {root: 0}
        self.edges: dict[Edge, None] = {}
        self.truncated = False
        self._root, self._max_nodes = root, max_nodes

    def grow(
        self, tx: Transaction, workspace: str, way: Mapping[str, Sequence[Finder]], hops: int
    ) -> None:
        """Follow edges one way from the root."""
        seen = {self._root}
        frontier = [self._root]
        for hop in range(hops + 1):
            found = self._next(tx, workspace, way, frontier)
            if hop == hops:
                self.truncated |= any(end not in seen for edge in found for end in edge[:2])
                return
            frontier = []
            for edge in found:
                frontier += [end for end in edge[:2] if self._add(end) and end not in seen]
                seen.update(frontier)
                self._connect(edge)
            if not frontier:
                return

    def _next(
        self,
        tx: Transaction,
        workspace: str,
        way: Mapping[str, Sequence[Finder]],
        frontier: Sequence[Node],
    ) -> list[Edge]:
        found: list[Edge] = []
        for kind, finders in way.items():
            keys = [node.key for node in frontier if node.kind == kind]
            for find in finders if keys else ():
                # One more than could be kept: that one tells of a cut.
                found += find(tx, workspace, keys, MAX_EDGES + 1)
        return found

    def _add(self, node: Node) -> bool:
        if node not in self.nodes and len(self.nodes) >= self._max_nodes:
            self.truncated = True
            return False
        self.nodes.setdefault(node, len(self.nodes))
        return True

    def _connect(self, edge: Edge) -> None:
        if edge.source not in self.nodes or edge.target not in self.nodes:
            return
        if len(self.edges) >= MAX_EDGES and edge not in self.edges:
            self.truncated = True
            return
        self.edges[edge] = None


def _limit(field: str, asked: int, limit: int) -> int:
    if asked < 0:
        raise FieldInvalid(field, "must not be negative")
    return min(asked or limit, limit)


def _root(tx: Transaction, sent: LineageNode, workspace: str) -> Node:
    kind = sent.WhichOneof("node")
    if kind == "run_id":
        return Node("run", run_row.find(tx, sent.run_id).run_id)
    if kind == "model_version":
        key = sent.model_version
        row = model_row.find(tx, workspace_of(key.workspace or workspace), key.model)
        model_row.find_version(tx, row, key.version)
        return Node("version", (row.model_id, key.version))
    if kind is None:
        raise FieldInvalid("root", "name a run_id, model_version, dataset_digest or uri")
    name = str(getattr(sent, kind))
    check_value(f"root.{kind}", name)
    if not name:
        raise FieldInvalid(f"root.{kind}", "must not be empty")
    return Node("dataset" if kind == "dataset_digest" else "uri", name)


def _is_used(tx: Transaction, workspace: str, root: Node) -> bool:
    return any(True for find in DOWNSTREAM[root.kind] for _ in find(tx, workspace, [root.key], 1))


def _message(tx: Transaction, graph: _Graph) -> QueryLineageResponse:
    described = _described(tx, graph)
    kept = [node for node in graph.nodes if node in described]
    places = {node: place for place, node in enumerate(kept)}
    edges = [
        LineageEdge(source=places[edge.source], target=places[edge.target], role=edge.role)
        for edge in graph.edges
        if edge.source in places and edge.target in places
    ]
    nodes = [described[node] for node in kept]
    return QueryLineageResponse(nodes=nodes, edges=edges, truncated=graph.truncated)


def _described(tx: Transaction, graph: _Graph) -> dict[Node, LineageNode]:
    """As they are sent. A version that was removed for good with its model is left out: there
    is no name for it any more."""
    by_kind: dict[str, list[Node]] = {"run": [], "version": [], "dataset": [], "uri": []}
    for node in graph.nodes:
        by_kind[node.kind].append(node)
    labels = {edge.source: edge.label[:LABEL_CHARACTERS] for edge in graph.edges}
    found = {node: LineageNode(uri=node.key) for node in by_kind["uri"]}
    found |= {
        node: LineageNode(dataset_digest=node.key, label=labels.get(node, ""))
        for node in by_kind["dataset"]
    }
    return found | _runs(tx, by_kind["run"]) | _versions(tx, by_kind["version"])


def _runs(tx: Transaction, nodes: Sequence[Node]) -> dict[Node, LineageNode]:
    columns = sa.select(runs.c.run_id, runs.c.name, runs.c.delete_time)
    query = columns.where(runs.c.run_id.in_([node.key for node in nodes]))
    rows = {row.run_id: row for row in tx.execute(query)} if nodes else {}
    return {
        node: LineageNode(
            run_id=node.key,
            label=rows[node.key].name[:LABEL_CHARACTERS] if node.key in rows else "",
            deleted=node.key not in rows or rows[node.key].delete_time is not None,
        )
        for node in nodes
    }


def _versions(tx: Transaction, nodes: Sequence[Node]) -> dict[Node, LineageNode]:
    named = sa.select(models.c.model_id, models.c.name, models.c.workspace, models.c.delete_time)
    ids = {node.key[0] for node in nodes}
    of = {row.model_id: row for row in tx.execute(named.where(models.c.model_id.in_(ids)))}
    number = model_versions.c.version
    live = sa.select(model_versions.c.model_id, number, model_versions.c.stage)
    live = live.where(
        *among(model_versions.c.model_id, number, [node.key for node in nodes]),
        model_versions.c.delete_time.is_(None),
    )
    stages = {(row.model_id, row.version): row.stage for row in tx.execute(live)} if nodes else {}
    return {
        node: LineageNode(
            model_version=ModelVersionKey(
                model=of[node.key[0]].name,
                version=node.key[1],
                workspace=of[node.key[0]].workspace,
            ),
            label=stages.get(node.key, "")[:LABEL_CHARACTERS],
            deleted=node.key not in stages or of[node.key[0]].delete_time is not None,
        )
        for node in nodes
        if node.key[0] in of
    }
