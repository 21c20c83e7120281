"""At which version of a customer's row a slot came back or was taken late, and limits of his own began to hold.

With the version that each decision names, a customer's history stands in the one order in which it happened: neither
the clocks of several processes nor ids can say that.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_COLUMNS = """
ALTER TABLE fraud.limit_releases ADD COLUMN user_version bigint;
ALTER TABLE fraud.late_slots ADD COLUMN user_version bigint;
ALTER TABLE fraud.personal_limits ADD COLUMN user_version bigint;
COMMENT ON COLUMN fraud.limit_releases.user_version IS
    'The version of the customer''s row that this was written with; null for what is older than this column.';
COMMENT ON COLUMN fraud.late_slots.user_version IS 'As in limit_releases.';
COMMENT ON COLUMN fraud.personal_limits.user_version IS 'As in limit_releases.';
"""


def upgrade() -> None:
    op.execute(_COLUMNS)


def downgrade() -> None:
    op.execute(
        """
        ALTER TABLE fraud.limit_releases DROP COLUMN user_version;
        ALTER TABLE fraud.late_slots DROP COLUMN user_version;
        ALTER TABLE fraud.personal_limits DROP COLUMN user_version;
        """
    )
