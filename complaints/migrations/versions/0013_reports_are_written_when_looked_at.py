"""A draft has no bytes before somebody looks; the database refuses a consent to one that has none."""

from alembic import op

from complaints.guards import install_statements

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in install_statements(op.get_bind().dialect.name, revision):
        op.execute(statement)
