"""All that the database refuses, as `guards` has it now: also REPLACE, TRUNCATE, and steps back."""

from alembic import op

from complaints import guards

revision = "0016"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    guards.install(op.get_bind())
