"""Kyc says more of a customer: that it waits for information, and that an approval is suspended."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE fraud.users
            DROP CONSTRAINT users_kyc_status_known,
            ADD CONSTRAINT users_kyc_status_known CHECK (
                kyc_status IN ('none', 'in_review', 'needs_info', 'approved', 'suspended', 'rejected'))
        """
    )


def downgrade() -> None:
    raise NotImplementedError("there may be customers in states that the version before does not know")
