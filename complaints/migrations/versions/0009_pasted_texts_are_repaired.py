"""What was pasted is known as such, and what was repaired in it is kept with its complaint."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("submission", sa.Column("pasted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("complaint", sa.Column("repairs", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("complaint", sa.Column("certain_hops", sa.Integer(), nullable=True))
