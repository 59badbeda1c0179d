"""A request that is sent again gets the answer it got (Idempotency-Key)."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answered_request",
        sa.Column("reporter_id", sa.String(), sa.ForeignKey("reporter.id"), primary_key=True),
        sa.Column("key_hash", sa.String(), primary_key=True),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_answered_request_at", "answered_request", ["at"])
