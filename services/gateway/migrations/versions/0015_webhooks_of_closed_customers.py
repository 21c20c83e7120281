"""A webhook may be disabled because its owner has closed."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_REASONS = """
ALTER TABLE gateway.webhooks DROP CONSTRAINT webhooks_disabled_because_known,
    ADD CONSTRAINT webhooks_disabled_because_known
        CHECK (disabled_because IN ('', 'by_owner', 'gone', 'failed_for_three_days', 'customer_closed'));
"""


def upgrade() -> None:
    """Let it say so."""
    op.execute(_REASONS)


def downgrade() -> None:
    """Call it the owner's doing, which it was."""
    op.execute("UPDATE gateway.webhooks SET disabled_because = 'by_owner' WHERE disabled_because = 'customer_closed'")
    op.execute(_REASONS.replace(", 'customer_closed'", ""))
