"""The registry in depth: who made a model, copies of versions, histories that say more.

A model's latest version is from now on the greatest that is not deleted, and a model in
the trash keeps its versions as they are.
"""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0007"
down_revision = "0006"


def upgrade(op: Operations) -> None:
    _add_columns(op)
    _count_live_versions(op)
    _add_indexes(op)


def _add_columns(op: Operations) -> None:
    for table, name in (
        ("models", "last_number"),
        ("model_versions", "source_version"),
        ("model_events", "undone_revision"),
    ):
        op.add_column(
            table, sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        )
    for table, name, kind in (
        ("models", "creator", sa.Text()),
        ("model_versions", "source_model_id", sa.String(length=32)),
        ("model_events", "previous_model", sa.Text()),
        ("model_events", "changes", sa.Text()),
    ):
        op.add_column(table, sa.Column(name, kind, server_default="", nullable=False))


def _count_live_versions(op: Operations) -> None:
    op.execute(sa.text("UPDATE models SET last_number = latest_version"))
    op.execute(
        sa.text(
            "UPDATE model_versions SET delete_time = NULL WHERE EXISTS (SELECT 1 FROM models"
            " WHERE models.model_id = model_versions.model_id"
            " AND models.delete_time = model_versions.delete_time)"
        )
    )
    op.execute(
        sa.text(
            "UPDATE models SET latest_version = coalesce((SELECT max(version) FROM model_versions"
            " WHERE model_versions.model_id = models.model_id"
            " AND model_versions.delete_time IS NULL), 0)"
        )
    )


def _add_indexes(op: Operations) -> None:
    _add_partial(op, "ix_runs_forked_run_id", "runs", ["forked_run_id"], "forked_run_id <> ''")
    _add_partial(
        op,
        "ix_model_versions_source_model_id",
        "model_versions",
        ["source_model_id", "source_version"],
        "source_version > 0",
    )
    op.create_index(
        "ix_model_events_model_id_alias_revision", "model_events", ["model_id", "alias", "revision"]
    )
    op.create_index("ix_model_events_workspace_model", "model_events", ["workspace", "model"])


def _add_partial(op: Operations, name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
