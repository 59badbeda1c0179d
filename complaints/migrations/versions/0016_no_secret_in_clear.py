"""The secret in the addresses of a report is kept as a hash; all that the database refuses, by `guards`."""

import sqlalchemy as sa
from alembic import op

from complaints import guards
from complaints.tokens import hashed, without_secrets

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None
CHANGES = (
    ("report", "token_hash", hashed),
    # What others said: they may have quoted a secret
    ("report", "detail", without_secrets),
    ("letter", "detail", without_secrets),
    ("attempt", "text", without_secrets),
    ("reply", "text", without_secrets),
)


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":  # it alters no table whose triggers name what is not there
        triggers = sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for trigger in connection.execute(triggers).scalars().all():
            connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
    op.alter_column("report", "token", new_column_name="token_hash")
    # Of a probe it named the secret by which the probe is known again
    op.drop_column("letter", "message_id")
    for name, column, change in CHANGES:
        table = sa.table(name, sa.column("id"), sa.column(column))
        said = connection.execute(sa.select(table).where(table.c[column] != "")).all()
        new = [{"row": row, "new": change(old)} for row, old in said if change(old) != old]
        if new:
            change_row = table.update().where(table.c.id == sa.bindparam("row"))
            connection.execute(change_row.values({column: sa.bindparam("new")}), new)
    guards.install(connection)
