"""PostgreSQL keeps points as they are: it tried to compress every frame, which takes longer
than to write it, and gains nothing on numbers that are noisy or packed already."""

from alembic.operations import Operations

revision = "0005"
down_revision = "0004"

COLUMNS = (("metric_frames", "data"), ("metric_blocks", "data"), ("metric_block_parts", "data"))


def upgrade(op: Operations) -> None:
    if op.get_context().dialect.name == "postgresql":
        for table, column in COLUMNS:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
