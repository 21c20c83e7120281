"""How many tries it took the ledger to decide each state."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, which a constant default fills without writing a row."""
    op.execute("ALTER TABLE gateway.outcomes ADD COLUMN attempts smallint NOT NULL DEFAULT 1")
    op.execute("ALTER TABLE gateway.later_states ADD COLUMN attempts smallint NOT NULL DEFAULT 1")


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE gateway.outcomes DROP COLUMN attempts")
    op.execute("ALTER TABLE gateway.later_states DROP COLUMN attempts")
