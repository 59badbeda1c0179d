"""A delivery is known again, a reminder is sent once, a submission address can be shown to its owner."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("complaint", sa.Column("delivery", sa.String(), nullable=True))
    op.add_column("complaint", sa.Column("reminded_at", UTCDateTime(), nullable=True))
    op.create_index("complaint_of_delivery", "complaint", ["reporter_id", "delivery"])
    op.add_column("probe", sa.Column("returned", sa.String(), nullable=False, server_default=""))
    op.add_column("probe", sa.Column("grade", sa.String(), nullable=True))
    op.add_column("submission_address", sa.Column("sealed", sa.LargeBinary(), nullable=True))
