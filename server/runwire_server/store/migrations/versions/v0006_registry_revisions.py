"""Models and versions by the revision of their last change: what a watch goes on from.

A change of a version counts as one of its model from here on; earlier ones are caught up.
"""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0006"
down_revision = "0005"


def upgrade(op: Operations) -> None:
    op.create_index("ix_models_workspace_revision", "models", ["workspace", "revision"])
    op.create_index(
        "ix_model_versions_model_id_revision", "model_versions", ["model_id", "revision"]
    )
    op.execute(
        sa.text(
            "UPDATE models SET revision = (SELECT max(model_versions.revision) FROM model_versions"
            " WHERE model_versions.model_id = models.model_id) WHERE revision <"
            " (SELECT max(model_versions.revision) FROM model_versions"
            " WHERE model_versions.model_id = models.model_id)"
        )
    )
