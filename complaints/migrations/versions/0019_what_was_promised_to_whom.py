"""How long we said that we keep what is a reporter's, when they agreed to it (`policies.write_down`).

And PostgreSQL keeps no values of these columns beside the tables: its statistics hold the most common ones
in clear, and no erasure reaches them there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None
PERSONAL = {
    "reporter": ("address", "key", "token_hash"),
    "submission_address": ("sealed",),
    "registration": ("address",),
    "probe": ("to",),
    "submission": ("raw", "filename", "batch"),
    "complaint": ("raw", "subject", "source_ip", "campaign", "note", "reason"),
    "report": ("raw", "detail"),
    "attempt": ("text", "host"),
    "reply": ("text", "raw"),
    "consent": ("note", "statement"),
    "consent_entry": ("body",),
    "letter": ("to", "raw", "detail", "mail_from"),
    "step_up": ("value",),
    "answered_request": ("answer",),
    "reading": ("by", "reason"),
    "disclosure": ("what",),
}


def upgrade() -> None:
    op.add_column("reporter", sa.Column("promised", sa.String(), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in PERSONAL.items():
            for column in columns:
                op.execute(f'ALTER TABLE {table} ALTER COLUMN "{column}" SET STATISTICS 0')
        op.execute("ALTER INDEX reporter_by_address ALTER COLUMN 1 SET STATISTICS 0")
