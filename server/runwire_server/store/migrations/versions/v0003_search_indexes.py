"""Indexes that searches start from: values of params and tags, last values, names of metrics."""

from alembic.operations import Operations
from sqlalchemy import text

revision = "0003"
down_revision = "0002"


def upgrade(op: Operations) -> None:
    value = text("substr(value, 1, 64)")
    op.create_index("ix_run_params_value", "run_params", ["key", "number", value, "run_id"])
    op.create_index("ix_run_tags_value", "run_tags", ["key", value, "run_id"])
    op.create_index(
        "ix_metric_summaries_last",
        "metric_summaries",
        ["experiment_id", "key_id", "last", "run_id"],
    )
    op.create_index("ix_metric_keys_name", "metric_keys", ["name"])
