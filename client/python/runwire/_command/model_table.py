"""Models and versions as tables and records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runwire._command.output import Id, Record, Table
from runwire._command.resource import document, time_of


def listing(models: Sequence[Any], *, more: bool, deleted: bool) -> Table:
    columns = ["model", "latest", "aliases", "changed"]
    rows = [
        [one.name, one.latest_version, aliases(one), time_of(one.update_time)] for one in models
    ]
    documents = [document(one) for one in models]
    _add_deleted(columns, rows, models if deleted else ())
    return Table(columns, rows, documents, empty="no models", more=more)


def record(model: Any) -> Record:
    fields: list[tuple[str, object]] = [
        ("model", model.name),
        ("workspace", model.workspace),
        ("description", model.description),
        ("latest version", model.latest_version),
        ("stages", list(model.stages)),
        ("creator", model.creator),
        ("created", time_of(model.create_time)),
        ("changed", time_of(model.update_time)),
    ]
    fields += [(f"@{name}", model.aliases[name]) for name in sorted(model.aliases)]
    fields += [(f"tags.{key}", model.tags[key]) for key in sorted(model.tags)]
    return Record(fields, document(model))


def version_table(listed: Sequence[Any], *, more: bool = False, deleted: bool = False) -> Table:
    columns = ["model", "version", "stage", "aliases", "source", "path", "created"]
    rows = [
        [
            one.model,
            one.version,
            one.stage,
            list(one.aliases),
            _source(one),
            one.source_path,
            time_of(one.create_time),
        ]
        for one in listed
    ]
    _add_deleted(columns, rows, listed if deleted else ())
    documents = [document(one) for one in listed]
    return Table(columns, rows, documents, empty="no versions", more=more)


def _add_deleted(columns: list[str], rows: list[list[Any]], resources: Sequence[Any]) -> None:
    if resources:
        columns.append("deleted")
    for row, one in zip(rows, resources, strict=False):
        row.append(time_of(one.delete_time))


def _source(version: Any) -> str:
    if version.source_run_id:
        return Id(version.source_run_id)
    return _copied(version) or version.source_uri


def _copied(version: Any) -> str:
    source = version.source_version
    return f"{source.model}/{source.version}" if source.version else ""


def version_record(version: Any) -> Record:
    fields: list[tuple[str, object]] = [
        ("model", version.model),
        ("version", version.version),
        ("stage", version.stage),
        ("aliases", list(version.aliases)),
        ("description", version.description),
        ("source run", version.source_run_id),
        ("source path", version.source_path),
        ("source uri", version.source_uri),
        ("copy of", _copied(version)),
        ("tree digest", version.tree_digest),
        ("signature", version.signature),
        ("creator", version.creator),
        ("created", time_of(version.create_time)),
        ("changed", time_of(version.update_time)),
        ("deleted", time_of(version.delete_time)),
    ]
    fields += [(f"tags.{key}", version.tags[key]) for key in sorted(version.tags)]
    return Record(fields, document(version))


def aliases(model: Any) -> list[str]:
    return [f"{name}={model.aliases[name]}" for name in sorted(model.aliases)]
