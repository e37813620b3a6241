"""Events, lineage and comparisons of models as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from runwire._command.output import Id, Table
from runwire._command.resource import document, enum_name, time_of

_SAID: dict[str, Callable[[Any], str]] = {
    "MODEL_CREATED": lambda event: "model made",
    "MODEL_RENAMED": lambda event: f"renamed from {event.previous_model}",
    "MODEL_CHANGED": lambda event: changes(event),
    "MODEL_DELETED": lambda event: "model deleted",
    "MODEL_RESTORED": lambda event: (
        "model restored" + (f", was {event.previous_model}" if event.previous_model else "")
    ),
    "VERSION_CREATED": lambda event: f"version {event.version} published",
    "VERSION_CHANGED": lambda event: f"version {event.version}: {changes(event)}",
    "VERSION_DELETED": lambda event: f"version {event.version} deleted",
    "VERSION_RESTORED": lambda event: f"version {event.version} restored",
    "STAGE_CHANGED": lambda event: (
        f"version {event.version} to {event.stage} from {event.previous_stage}"
    ),
    "ALIAS_MOVED": lambda event: (
        f"@{event.alias} {_back(event)}to version {event.version} "
        f"from {event.previous_version or 'unset'}"
    ),
    "ALIAS_REMOVED": lambda event: (
        f"@{event.alias} {_back(event)}removed from version {event.previous_version}"
    ),
}
EVENT_KINDS = tuple(_SAID)
MAX_VALUE = 40


def history(events: Sequence[Any], *, more: bool) -> Table:
    rows = [(time_of(one.time), one.model, happened(one), one.actor, one.comment) for one in events]
    columns = ("time", "model", "what", "who", "why")
    documents = [document(one) for one in events]
    return Table(columns, rows, documents, empty="nothing happened", more=more)


def happened(event: Any) -> str:
    kind = enum_name(event.DESCRIPTOR.fields_by_name["kind"].enum_type, event.kind)
    said = _SAID.get(kind)
    return said(event) if said else kind


def changes(event: Any) -> str:
    """ "tags.team = 'risk' (was 'crime'), description removed"."""
    texts = [_change(one) for one in event.changes]
    if event.more_changes:
        texts.append(f"and {event.more_changes} more")
    return ", ".join(texts)


def lineage(found: Any) -> Table:
    """A row for each edge, those near the root first."""
    names = [NodeName.of(node) for node in found.nodes]
    rows = [(names[edge.source], edge.role, names[edge.target]) for edge in found.edges]
    return Table(
        ("from", "as", "to"),
        rows,
        document(found),
        empty="nothing it was made from, and nothing made from it",
        more=found.truncated,
        more_hint="start from one of these",
    )


class NodeName(Id):
    """A run's id, MODEL/VERSION, a digest or a URI; people see what it is, and its label."""

    shown: str

    @classmethod
    def of(cls, node: Any) -> NodeName:
        key = node.model_version
        version = f"{key.model}/{key.version}" if key.version else ""
        name = cls(node.run_id or version or node.dataset_digest or node.uri)
        if node.run_id:
            name.shown = f"run {node.run_id[:8]} {node.label}".rstrip()
        elif node.dataset_digest:
            name.shown = f"dataset {node.label} {node.dataset_digest[:12]}"
        else:
            name.shown = f"{name} {node.label}".rstrip()
        name.shown += " (deleted)" if node.deleted else ""
        return name

    @property
    def short(self) -> str:
        return self.shown


class Digest(Id):
    """People see its first digits."""

    @property
    def short(self) -> str:
        return self.removeprefix("sha256:")[:12] if self.startswith("sha256:") else str(self)


def comparison(found: Any, *, only_differences: bool) -> Table:
    """A row for each thing that one of the versions has; rows that differ are marked."""
    rows: list[list[object]] = []
    marked: set[int] = set()
    for name, left, right, differs in _compared(found):
        if only_differences and not differs:
            continue
        if differs:
            marked.add(len(rows))
        rows.append(["*" if differs else "", name, left, right])
    heads = [f"{one.model}/{one.version}" for one in (found.left, found.right)]
    documents = {
        str(name): {"differs": bool(mark), "values": [left, right]}
        for mark, name, left, right in rows
    }
    return Table(["", "", *heads], rows, documents, frozenset(marked), empty="no differences")


def _compared(found: Any) -> list[tuple[str, object, object, bool]]:
    rows: list[tuple[str, object, object, bool]] = []
    for name in ("stage", "source_path", "source_uri", "signature"):
        left, right = (getattr(one, name) for one in (found.left, found.right))
        if left or right:
            rows.append((name.replace("_", " "), left, right, left != right))
    if found.run_ids.left or found.run_ids.right:
        runs = [Id(one or "") for one in (found.run_ids.left, found.run_ids.right)]
        rows.append(("run", *runs, found.run_ids.differs))
    for what in ("params", "metrics"):
        for name, pair in getattr(found, what).items():
            rows.append((f"{what}.{name}", pair.left, pair.right, pair.differs))
    for path, pair in found.files.items():
        left, right = (one and Digest(one) for one in (pair.left, pair.right))
        rows.append((path, left, right, pair.differs))
    return rows


def _change(change: Any) -> str:
    before = _quoted(change.previous_value) if change.HasField("previous_value") else ""
    if not change.HasField("value"):
        return f"{change.field} removed" + (f" (was {before})" if before else "")
    was = f" (was {before})" if change.previous_value else ""
    return f"{change.field} = {_quoted(change.value)}{was}"


def _quoted(value: str) -> str:
    return repr(value if len(value) <= MAX_VALUE else value[: MAX_VALUE - 1] + "…")


def _back(event: Any) -> str:
    return "back " if event.undone_revision else ""
