"""A standing consent remembers the mail hosts it was given with; one given before waits for the reporter."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("standing_consent", sa.Column("hosts", sa.JSON(), nullable=True))
