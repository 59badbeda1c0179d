"""Who is registered is found by an index. What the database refuses because of it came here; see 0016."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("reporter_by_address", "reporter", [sa.text("lower(address)")])
