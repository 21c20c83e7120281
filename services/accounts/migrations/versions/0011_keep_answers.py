"""Keep the first answer to each request with an idempotency key."""

from alembic import op

from libs.common.db.shared_tables import kept_answers_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute(kept_answers_sql("accounts"))


def downgrade() -> None:
    op.execute("DROP TABLE accounts.kept_answers; DROP FUNCTION accounts.refuse_other_answer")
