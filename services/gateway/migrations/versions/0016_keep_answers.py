"""Keep the first answer to each request that makes a webhook under an idempotency key."""

from alembic import op

from libs.common.db.shared_tables import kept_answers_sql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.execute(kept_answers_sql("gateway"))


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE gateway.kept_answers; DROP FUNCTION gateway.refuse_other_answer")
