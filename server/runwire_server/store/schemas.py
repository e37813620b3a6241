"""What can be asked of each noun: its attributes, and its params, tags and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

import sqlalchemy as sa

from runwire_server.errors import FilterSyntax
from runwire_server.store.filter_tree import Key, Kind
from runwire_server.store.tables import (
    experiment_tags,
    experiments,
    metric_summaries,
    model_aliases,
    model_tags,
    model_version_tags,
    model_versions,
    models,
    run_inputs,
    run_params,
    run_tags,
    runs,
)


class Type(Enum):
    """How a column's values are compared with literals: ``filter_values``."""

    TEXT = auto()
    ID = auto()  # text of hex digits, which every collation sorts alike
    INTEGER = auto()
    NUMBER = auto()  # null is missing
    LAST = auto()  # a number whose null is NaN
    TIME = auto()  # microseconds
    STATE = auto()  # Run.State


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column of the noun, or of rows that belong to it (``through``).

    Of several rows (aliases, datasets) a comparison is true if it is true of one.
    """

    column: sa.Column[object]
    type: Type
    unset_is_empty: bool = False  # "" is stored for what was never given: it is missing
    through: sa.ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """A table with at most one row per (noun, key), found by its primary key."""

    table: sa.Table
    owner: Mapping[str, sa.Column[object]]

    def row(self, name: str) -> tuple[sa.FromClause, sa.ColumnElement[bool]]:
        """The row of this key as a table of its own, and the condition that joins it."""
        row = self.table.alias()
        owned = [row.c[column] == owner for column, owner in self.owner.items()]
        return row, sa.and_(*owned, self.named(row, name))

    @staticmethod
    def named(row: sa.FromClause, name: str) -> sa.ColumnElement[bool]:
        """Whether a row is of this key."""
        if "key_id" in row.c:
            # Here and not above: the package metrics is built on the package store.
            from runwire_server.metrics.keys import key_id

            return row.c.key_id == key_id(name)
        return row.c.key == name


@dataclass(frozen=True, slots=True)
class Schema:
    noun: str
    table: sa.Table
    id: tuple[sa.Column[object], ...]  # breaks ties
    attributes: Mapping[str, Attribute]
    pairs: Mapping[Kind, Pairs]
    default_order: str
    parent: tuple[sa.Table, sa.ColumnElement[bool]] | None = None
    parent_columns: tuple[sa.Label[object], ...] = ()
    # Attributes by which an index finds rows, and the columns in whose order one has them.
    indexed: tuple[sa.Column[object], ...] = ()
    walkable: Mapping[Kind, str] = field(default_factory=dict)

    def attribute(self, key: Key, field: str) -> Attribute:
        """Raises ``FilterSyntax`` for a name that the noun does not have."""
        name = key.name.lower().replace(" ", "_")
        if key.kind is Kind.DATASET:
            name = f"datasets.{name}"
        found = self.attributes.get(name)
        if found is None:
            offered = ", ".join(sorted(self.attributes))
            shown = key.name if len(key.name) <= 100 else key.name[:97] + "..."
            raise FilterSyntax(
                f"{self.noun}s have no {key.kind} {shown!r}; there are {offered}",
                key.position,
                field,
            )
        return found

    def pairs_of(self, key: Key, field: str) -> Pairs:
        """Raises ``FilterSyntax`` for a kind that the noun does not have."""
        found = self.pairs.get(key.kind)
        if found is None:
            raise FilterSyntax(f"{self.noun}s have no {key.kind}s", key.position, field)
        return found


def _attributes(*groups: tuple[str, Attribute]) -> dict[str, Attribute]:
    return {name: attribute for names, attribute in groups for name in names.split()}


def _text(column: sa.Column[object], *, unset_is_empty: bool = False) -> Attribute:
    return Attribute(column, Type.TEXT, unset_is_empty)


def _id(column: sa.Column[object], *, unset_is_empty: bool = False) -> Attribute:
    return Attribute(column, Type.ID, unset_is_empty)


def _time(column: sa.Column[object]) -> Attribute:
    return Attribute(column, Type.TIME)


def _integer(column: sa.Column[object]) -> Attribute:
    return Attribute(column, Type.INTEGER)


_of_run = runs.c.run_id == run_inputs.c.run_id

# Names after the first are mlflow's, or the short ones that people try.
RUNS = Schema(
    noun="run",
    table=runs,
    id=(runs.c.run_id,),
    attributes=_attributes(
        ("run_id id run_uuid", _id(runs.c.run_id)),
        ("experiment_id", _integer(runs.c.experiment_id)),
        ("name run_name", _text(runs.c.name, unset_is_empty=True)),
        ("description", _text(runs.c.description, unset_is_empty=True)),
        ("state status", Attribute(runs.c.state, Type.STATE)),
        ("user user_id", _text(runs.c.user, unset_is_empty=True)),
        ("source.name source_name", _text(runs.c.source_name, unset_is_empty=True)),
        ("git_commit source.git_commit", _text(runs.c.git_commit, unset_is_empty=True)),
        ("parent_run_id", _id(runs.c.parent_run_id, unset_is_empty=True)),
        ("forked_from.run_id forked_run_id", _id(runs.c.forked_run_id, unset_is_empty=True)),
        ("forked_from.step forked_step", _integer(runs.c.forked_step)),
        ("start_time created", _time(runs.c.start_time)),
        ("end_time", _time(runs.c.end_time)),
        ("create_time creation_time", _time(runs.c.create_time)),
        ("heartbeat_time", _time(runs.c.heartbeat_time)),
        ("delete_time", _time(runs.c.delete_time)),
        ("datasets.name", Attribute(run_inputs.c.name, Type.TEXT, through=_of_run)),
        ("datasets.digest", Attribute(run_inputs.c.digest, Type.TEXT, True, _of_run)),
        ("datasets.context", Attribute(run_inputs.c.context, Type.TEXT, True, _of_run)),
    ),
    pairs={
        Kind.PARAM: Pairs(run_params, {"run_id": runs.c.run_id}),
        Kind.TAG: Pairs(run_tags, {"run_id": runs.c.run_id}),
        # The whole primary key: a search is one range of it, or one probe per run.
        Kind.METRIC: Pairs(
            metric_summaries,
            {"experiment_id": runs.c.experiment_id, "run_id": runs.c.run_id},
        ),
    },
    default_order="start_time DESC",
    indexed=(runs.c.run_id, runs.c.parent_run_id, runs.c.start_time),
    walkable={Kind.ATTRIBUTE: "start_time", Kind.PARAM: "number", Kind.METRIC: "last"},
)

EXPERIMENTS = Schema(
    noun="experiment",
    table=experiments,
    id=(experiments.c.experiment_id,),
    attributes=_attributes(
        ("experiment_id id", _integer(experiments.c.experiment_id)),
        ("name", _text(experiments.c.name)),
        ("description", _text(experiments.c.description, unset_is_empty=True)),
        ("create_time creation_time created", _time(experiments.c.create_time)),
        ("update_time last_update_time", _time(experiments.c.update_time)),
        ("delete_time", _time(experiments.c.delete_time)),
    ),
    pairs={Kind.TAG: Pairs(experiment_tags, {"experiment_id": experiments.c.experiment_id})},
    default_order="create_time DESC",
)

_live_version = sa.and_(
    model_versions.c.model_id == models.c.model_id, model_versions.c.delete_time.is_(None)
)

MODELS = Schema(
    noun="model",
    table=models,
    id=(models.c.model_id,),
    attributes=_attributes(
        ("name model", _text(models.c.name)),
        ("description", _text(models.c.description, unset_is_empty=True)),
        ("latest_version", _integer(models.c.latest_version)),
        ("create_time creation_time creation_timestamp created", _time(models.c.create_time)),
        (
            "update_time last_update_time last_updated_timestamp timestamp",
            _time(models.c.update_time),
        ),
        ("delete_time", _time(models.c.delete_time)),
        ("creator user user_id", _text(models.c.creator, unset_is_empty=True)),
        (
            "stage current_stage",
            Attribute(model_versions.c.stage, Type.TEXT, through=_live_version),
        ),
        (
            "source_run_id run_id",
            Attribute(model_versions.c.source_run_id, Type.ID, True, through=_live_version),
        ),
        (
            "alias aliases",
            Attribute(
                model_aliases.c.alias,
                Type.TEXT,
                through=model_aliases.c.model_id == models.c.model_id,
            ),
        ),
    ),
    pairs={Kind.TAG: Pairs(model_tags, {"model_id": models.c.model_id})},
    default_order="name",
)

MODEL_VERSIONS = Schema(
    noun="model version",
    table=model_versions,
    id=(model_versions.c.model_id, model_versions.c.version),
    attributes=_attributes(
        ("model name", _text(models.c.name)),
        ("version version_number", _integer(model_versions.c.version)),
        ("stage current_stage", _text(model_versions.c.stage)),
        ("description", _text(model_versions.c.description, unset_is_empty=True)),
        ("source_run_id run_id", _id(model_versions.c.source_run_id, unset_is_empty=True)),
        ("source_path", _text(model_versions.c.source_path, unset_is_empty=True)),
        ("source_uri source", _text(model_versions.c.source_uri, unset_is_empty=True)),
        ("tree_digest digest", _text(model_versions.c.tree_digest, unset_is_empty=True)),
        ("creator user user_id", _text(model_versions.c.creator, unset_is_empty=True)),
        (
            "create_time creation_time creation_timestamp created",
            _time(model_versions.c.create_time),
        ),
        (
            "update_time last_update_time last_updated_timestamp timestamp",
            _time(model_versions.c.update_time),
        ),
        ("delete_time", _time(model_versions.c.delete_time)),
        (
            "alias aliases",
            Attribute(
                model_aliases.c.alias,
                Type.TEXT,
                through=sa.and_(
                    model_aliases.c.model_id == model_versions.c.model_id,
                    model_aliases.c.version == model_versions.c.version,
                ),
            ),
        ),
    ),
    pairs={
        Kind.TAG: Pairs(
            model_version_tags,
            {
                "model_id": model_versions.c.model_id,
                "version": model_versions.c.version,
            },
        )
    },
    default_order="model, version DESC",
    parent=(models, models.c.model_id == model_versions.c.model_id),
    parent_columns=(models.c.name.label("model"), models.c.workspace.label("workspace")),
)
