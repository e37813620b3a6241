"""Models and versions as tables and records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runwire._command.output import Id, Record, Table
from runwire._command.resource import document, enum_name, time_of


def record(model: Any) -> Record:
    fields: list[tuple[str, object]] = [
        ("model", model.name),
        ("workspace", model.workspace),
        ("description", model.description),
        ("latest version", model.latest_version),
        ("stages", list(model.stages)),
        ("created", time_of(model.create_time)),
        ("changed", time_of(model.update_time)),
    ]
    fields += [(f"@{name}", model.aliases[name]) for name in sorted(model.aliases)]
    fields += [(f"tags.{key}", model.tags[key]) for key in sorted(model.tags)]
    return Record(fields, document(model))


def version_table(listed: Sequence[Any], more: bool = False) -> Table:
    rows = [
        (
            one.model,
            one.version,
            one.stage,
            list(one.aliases),
            Id(one.source_run_id) if one.source_run_id else one.source_uri,
            one.source_path,
            time_of(one.create_time),
        )
        for one in listed
    ]
    columns = ("model", "version", "stage", "aliases", "source", "path", "created")
    return Table(columns, rows, [document(one) for one in listed], empty="no versions", more=more)


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
        ("tree digest", version.tree_digest),
        ("signature", version.signature),
        ("creator", version.creator),
        ("created", time_of(version.create_time)),
        ("changed", time_of(version.update_time)),
    ]
    fields += [(f"tags.{key}", version.tags[key]) for key in sorted(version.tags)]
    return Record(fields, document(version))


def aliases(model: Any) -> list[str]:
    return [f"{name}={model.aliases[name]}" for name in sorted(model.aliases)]


def happened(event: Any) -> str:
    kind = enum_name(event.DESCRIPTOR.fields_by_name["kind"].enum_type, event.kind)
    was = event.previous_version or "unset"
    told = {
        "VERSION_CREATED": f"version {event.version} published",
        "ALIAS_MOVED": f"@{event.alias} to version {event.version} from {was}",
        "ALIAS_REMOVED": f"@{event.alias} removed from version {event.previous_version}",
        "STAGE_CHANGED": f"version {event.version} to {event.stage} from {event.previous_stage}",
        "VERSION_DELETED": f"version {event.version} deleted",
        "MODEL_DELETED": "model deleted",
    }
    return told.get(kind, kind)
