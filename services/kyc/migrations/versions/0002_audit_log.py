"""Keep what was done, by whom and from where."""

from alembic import op

from libs.common.db.shared_tables import audit_log_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(audit_log_sql("kyc"))


def downgrade() -> None:
    op.execute("DROP TABLE kyc.audit_log, kyc.audit_repeats")
    op.execute("DROP FUNCTION kyc.refuse_audit_change")
