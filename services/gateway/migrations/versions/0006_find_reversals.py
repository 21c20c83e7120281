"""Find the reversals of a transfer."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index: a reversal's id is in the order of its time."""
    op.execute("CREATE INDEX commands_reversals ON gateway.commands (subject_id, command_id) WHERE scope = 'reversals'")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX gateway.commands_reversals")
