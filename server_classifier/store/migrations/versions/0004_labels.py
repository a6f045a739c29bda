"""The labels that a deployment has taken, among them all that are stored."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "label",
        sa.Column("label", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("label", name="pk_label"),
    )
    # Only a replay of the service topic has rows without a label.
    op.execute("INSERT INTO label SELECT DISTINCT label FROM latent WHERE label <> ''")
