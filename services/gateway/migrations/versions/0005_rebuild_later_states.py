"""Let the gateway give up later states that are not what the ledger says, so that they are told again."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Allow it."""
    op.execute("GRANT DELETE ON gateway.later_states TO tallystick_gateway")


def downgrade() -> None:
    """Forbid it again."""
    op.execute("REVOKE DELETE ON gateway.later_states FROM tallystick_gateway")
