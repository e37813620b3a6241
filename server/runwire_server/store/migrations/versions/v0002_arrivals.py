"""Frames by their arrival in the run, and blocks to fold them into.

Summaries gain the range of time. They are made anew from the frames, which a
database of the first schema has all of.
"""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0002"
down_revision = "0001"

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1


def upgrade(op: Operations) -> None:
    _add_counters(op)
    _create_block_tables(op)
    _number_frames(op)
    op.drop_column("metric_writers", "summarized_sequence")
    _empty_summaries(op)


def _add_counters(op: Operations) -> None:
    for name in ("last_arrival", "summarized_arrival", "folded_arrival"):
        op.add_column(
            "runs", sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        )


def _create_block_tables(op: Operations) -> None:
    op.create_table(
        "metric_key_sets",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("set_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key_ids", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "set_id", name=op.f("pk_metric_key_sets")),
    )
    op.create_table(
        "metric_blocks",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("set_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("step_min", sa.BigInteger(), nullable=False),
        sa.Column("step_max", sa.BigInteger(), nullable=False),
        sa.Column("time_min", sa.BigInteger(), nullable=False),
        sa.Column("time_max", sa.BigInteger(), nullable=False),
        sa.Column("first_arrival", sa.BigInteger(), nullable=False),
        sa.Column("last_arrival", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "set_id", "block_no", name=op.f("pk_metric_blocks")),
    )
    op.create_table(
        "metric_block_parts",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("set_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "run_id", "set_id", "block_no", "part", name=op.f("pk_metric_block_parts")
        ),
    )
    op.create_table(
        "metric_folds",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("next_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_metric_folds")),
    )


def _number_frames(op: Operations) -> None:
    """Frames get the numbers of their order of arrival, in which each writer's own stands."""
    op.rename_table("metric_frames", "frames_by_writer")
    if op.get_bind().dialect.name == "postgresql":  # where the name of an index is the schema's
        rename = "ALTER TABLE frames_by_writer RENAME CONSTRAINT pk_metric_frames TO pk_by_writer"
        op.execute(sa.text(rename))
    op.create_table(
        "metric_frames",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("arrival", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("writer_id", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("step_min", sa.BigInteger(), nullable=False),
        sa.Column("step_max", sa.BigInteger(), nullable=False),
        sa.Column("time_min", sa.BigInteger(), nullable=False),
        sa.Column("time_max", sa.BigInteger(), nullable=False),
        sa.Column("receive_time", sa.BigInteger(), nullable=False),
        sa.Column("damaged", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "arrival", name=op.f("pk_metric_frames")),
    )
    # The times are inside the payloads: until these are folded, the range is any time.
    op.execute(
        sa.text(
            "INSERT INTO metric_frames (run_id, arrival, writer_id, sequence, points, step_min,"
            " step_max, time_min, time_max, receive_time, data)"
            " SELECT run_id,"
            " row_number() OVER (PARTITION BY run_id ORDER BY received, writer_id, sequence),"
            " writer_id, sequence, points, step_min, step_max, :earliest, :latest, receive_time,"
            " data FROM (SELECT frames_by_writer.*, max(receive_time) OVER (PARTITION BY run_id,"
            " writer_id ORDER BY sequence) AS received FROM frames_by_writer) AS ordered"
        ).bindparams(
            sa.bindparam("earliest", INT64_MIN, sa.BigInteger()),
            sa.bindparam("latest", INT64_MAX, sa.BigInteger()),
        )
    )
    op.drop_table("frames_by_writer")
    op.create_index(
        "ix_metric_frames_damaged",
        "metric_frames",
        ["run_id"],
        sqlite_where=sa.text("damaged"),
        postgresql_where=sa.text("damaged"),
    )
    op.execute(
        sa.text(
            "UPDATE runs SET last_arrival = coalesce((SELECT max(arrival) FROM metric_frames"
            " WHERE metric_frames.run_id = runs.run_id), 0)"
        )
    )


def _empty_summaries(op: Operations) -> None:
    op.execute(sa.text("DELETE FROM metric_summaries"))
    op.execute(sa.text("UPDATE runs SET summaries_stale = (last_arrival > 0)"))
    for name in ("time_min", "time_max"):
        op.add_column(
            "metric_summaries",
            sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        )
