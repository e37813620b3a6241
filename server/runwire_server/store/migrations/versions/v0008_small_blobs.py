"""Small blobs as rows; blobs in the order of their leases, with the end of their name.

Blobs that lie in the blob store stay there, whatever their size.
"""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0008"
down_revision = "0007"


def upgrade(op: Operations) -> None:
    op.create_table(
        "small_blobs",
        sa.Column("workspace", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "digest", name=op.f("pk_small_blobs")),
    )
    op.add_column(
        "blobs",
        sa.Column("generation", sa.String(length=16), server_default=sa.text("''"), nullable=False),
    )
    op.create_index("ix_blobs_lease_time", "blobs", ["lease_time"])
    op.create_index("ix_uploads_expire_time", "uploads", ["expire_time"])
