"""Keep the first answer to each comment and note that is sent under an idempotency key."""

from alembic import op

from libs.common.db.shared_tables import kept_answers_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute(kept_answers_sql("fraud"))


def downgrade() -> None:
    op.execute("DROP TABLE fraud.kept_answers")
    op.execute("DROP FUNCTION fraud.refuse_other_answer")
