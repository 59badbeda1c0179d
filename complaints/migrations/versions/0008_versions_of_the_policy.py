"""Which version of the privacy policy applies, which is announced; when a reporter changed their address."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy_version",
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("announced_at", UTCDateTime(), nullable=False),
        sa.Column("effective_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.add_column("reporter", sa.Column("moved_at", UTCDateTime(), nullable=True))
    # Whoever is registered already accepted the first version, so that one applies until another is announced
    op.execute(
        "INSERT INTO policy_version (version, announced_at, effective_at)"
        " SELECT '1', MIN(created_at), MIN(created_at) FROM reporter HAVING COUNT(*) > 0"
    )
