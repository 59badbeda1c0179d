"""What an erasure could not finish is written down; a desk's reports are found by their state."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "unfinished_erasure",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("left", sa.JSON(), nullable=False),
    )
    # Without it SQLite reads every draft to a desk to learn that none of them failed
    op.create_index("report_to_in_state", "report", ["to", "state"])
