"""All that the database refuses, as `guards` has it now; who is registered is found by an index."""

import sqlalchemy as sa
from alembic import op

from complaints import guards

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("reporter_by_address", "reporter", [sa.text("lower(address)")])
    guards.install(op.get_bind())
