"""Keep what was done, by whom and from where."""

from alembic import op

from libs.common.db.shared_tables import audit_log_sql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(audit_log_sql("ledger"))


def downgrade() -> None:
    op.execute("DROP TABLE ledger.audit_log, ledger.audit_repeats")
    op.execute("DROP FUNCTION ledger.refuse_audit_change")
