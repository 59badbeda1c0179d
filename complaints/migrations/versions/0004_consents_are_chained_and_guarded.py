"""Consents form a chain. What the database refuses because of it came here; see 0016."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consent_entry",
        sa.Column("reporter_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("complaint_id", sa.String(), nullable=True),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaint.id"]),
        sa.ForeignKeyConstraint(["reporter_id"], ["reporter.id"]),
        sa.PrimaryKeyConstraint("reporter_id", "number"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("consent_entry_of_complaint", "consent_entry", ["complaint_id"], unique=False)
    op.add_column("reporter", sa.Column("erased_at", UTCDateTime(), nullable=True))
