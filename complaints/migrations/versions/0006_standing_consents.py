"""Standing consents."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "standing_consent",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("reporter_id", sa.String(), nullable=False),
        sa.Column("given_at", UTCDateTime(), nullable=False),
        sa.Column("via", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("statement", sa.String(), nullable=False),
        sa.Column("daily", sa.Integer(), nullable=False),
        sa.Column("revoked_at", UTCDateTime(), nullable=True),
        sa.Column("revoked_via", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["reporter_id"], ["reporter.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_standing_consent_reporter_id", "standing_consent", ["reporter_id"], unique=False)
