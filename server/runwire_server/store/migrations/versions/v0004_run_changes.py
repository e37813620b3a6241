"""Revisions of runs, for those who watch them."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0004"
down_revision = "0003"


def upgrade(op: Operations) -> None:
    op.create_table(
        "run_revisions",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_run_revisions")),
    )
    # Runs that are there get their shard with their next change.
    for name, kind in (("change_shard", sa.Integer()), ("change_revision", sa.BigInteger())):
        op.add_column("runs", sa.Column(name, kind, server_default=sa.text("0"), nullable=False))
    op.create_index(
        op.f("ix_runs_change_shard_change_revision"), "runs", ["change_shard", "change_revision"]
    )
