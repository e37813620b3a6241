"""What runs used their datasets for, and the versions of a URI, so that both can be asked for."""

import sqlalchemy as sa
from alembic.operations import Operations
from runwire.v1.run_pb2 import DatasetInput

revision = "0009"
down_revision = "0008"

ROWS_AT_ONCE = 1000


def upgrade(op: Operations) -> None:
    op.add_column(
        "run_inputs", sa.Column("context", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    _fill_in(op)
    op.create_index(
        "ix_model_versions_source_uri",
        "model_versions",
        [sa.text("substr(source_uri, 1, 512)")],
        sqlite_where=sa.text("source_uri <> ''"),
        postgresql_where=sa.text("source_uri <> ''"),
    )


def _fill_in(op: Operations) -> None:
    names = ("run_id", "input_id", "dataset_input", "context")
    inputs = sa.table("run_inputs", *map(sa.column, names))
    ids: list[sa.ColumnClause[str]] = [sa.column("run_id"), sa.column("input_id")]
    query = sa.select(inputs).order_by(*ids).limit(ROWS_AT_ONCE)
    rows = op.get_bind().execute(query).all()
    while rows:
        for row in rows:
            context = DatasetInput.FromString(row.dataset_input).tags["context"]
            if context and "\0" not in context:  # PostgreSQL has no such text
                key = sa.and_(ids[0] == row.run_id, ids[1] == row.input_id)
                op.execute(sa.update(inputs).where(key).values(context=context))
        last = (rows[-1].run_id, rows[-1].input_id)
        rows = op.get_bind().execute(query.where(sa.tuple_(*ids) > last)).all()
