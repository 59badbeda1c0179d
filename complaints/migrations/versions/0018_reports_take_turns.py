"""A report takes one of those that its desk gets an hour, of which no two workers take the last.

And what 0016 took out of PostgreSQL's rows goes out of its files, too: the worker writes these tables anew
as after an erasure.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None
CHANGED_BY_0016 = ["report", "letter", "attempt", "reply"]


def upgrade() -> None:
    op.add_column("report", sa.Column("turn_at", UTCDateTime(), nullable=True))
    op.create_index("report_by_turn", "report", ["to", "turn_at"])
    connection = op.get_bind()
    written = connection.execute(sa.text("SELECT 1 FROM letter UNION ALL SELECT 1 FROM report LIMIT 1"))
    if connection.dialect.name == "postgresql" and written.first():
        unfinished = sa.table(
            "unfinished_erasure",
            sa.column("id"),
            sa.column("at", UTCDateTime()),
            sa.column("left", sa.JSON()),
        )
        row = {"id": "upgrade 0018", "at": datetime.now(UTC), "left": CHANGED_BY_0016}
        connection.execute(unfinished.insert().values(row))
