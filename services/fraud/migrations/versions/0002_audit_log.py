"""Keep what was done, by whom and from where."""

from alembic import op

from libs.common.db.shared_tables import audit_log_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(audit_log_sql("fraud"))


def downgrade() -> None:
    op.execute("DROP TABLE fraud.audit_log, fraud.audit_repeats")
    op.execute("DROP FUNCTION fraud.refuse_audit_change")
