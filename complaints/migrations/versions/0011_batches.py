"""What is handed in together is reviewed together, grouped by campaign, too."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("submission", sa.Column("batch", sa.String(), nullable=False, server_default=""))
    op.execute("UPDATE submission SET batch = id")
    op.create_index("submission_of_batch", "submission", ["reporter_id", "batch"])
    op.add_column("complaint", sa.Column("campaign", sa.String(), nullable=False, server_default=""))
