"""Whoever lets a held transfer go keeps rules and lists from changing until he has committed."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # FOR SHARE asks for the right to update a column. This one can only ever be true, so nothing else is given away.
    op.execute("GRANT UPDATE (only_row) ON fraud.screening_data TO tallystick_fraud")
    op.execute(
        """
        COMMENT ON COLUMN fraud.holds.settled_at IS
            'When the ledger was heard to have posted or voided it, or to have handed it to its caller.'
        """
    )


def downgrade() -> None:
    op.execute("REVOKE UPDATE (only_row) ON fraud.screening_data FROM tallystick_fraud")
