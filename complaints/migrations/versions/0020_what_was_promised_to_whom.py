"""How long we said that we keep what is a reporter's, when they agreed to it (`policies.write_down`)."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reporter", sa.Column("promised", sa.String(), nullable=True))
