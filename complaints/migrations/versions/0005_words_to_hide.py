"""A reporter may name words to hide in a complaint's reports."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("complaint", sa.Column("hide", sa.JSON(), nullable=False, server_default="[]"))
