"""A report takes one of those that its desk gets an hour, of which no two workers take the last."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0019"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("report", sa.Column("turn_at", UTCDateTime(), nullable=True))
    op.create_index("report_by_turn", "report", ["to", "turn_at"])
