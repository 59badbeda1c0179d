"""A standing consent remembers the mail hosts it was given with; one given before waits for the reporter.

And what went where is counted from an index alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("standing_consent", sa.Column("hosts", sa.JSON(), nullable=True))
    op.create_index("report_of_complaint", "report", ["complaint_id", "state", "to", "drafted_at", "id"])
    op.drop_index("ix_report_complaint_id", "report")
