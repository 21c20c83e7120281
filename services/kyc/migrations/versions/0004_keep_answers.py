"""Keep the answer to each application with an idempotency key, for copies of it."""

from alembic import op

from libs.common.db.shared_tables import kept_answers_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(kept_answers_sql("kyc"))


def downgrade() -> None:
    op.execute("DROP TABLE kyc.kept_answers")
    op.execute("DROP FUNCTION kyc.refuse_other_answer")
