"""Of which slots the outcome was asked for: each is asked about a few times, whichever process asks."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_QUESTIONS = """
CREATE TABLE fraud.outcome_questions (
    transfer_id uuid NOT NULL,
    times smallint NOT NULL,
    asked_at timestamptz NOT NULL,
    CONSTRAINT outcome_questions_pkey PRIMARY KEY (transfer_id),
    CONSTRAINT outcome_questions_of_decided FOREIGN KEY (transfer_id) REFERENCES fraud.decisions (transfer_id),
    CONSTRAINT outcome_questions_few CHECK (times BETWEEN 1 AND 5)
);
COMMENT ON TABLE fraud.outcome_questions IS 'Kept for a day: no slot counts for longer.';
CREATE INDEX outcome_questions_by_time ON fraud.outcome_questions (asked_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON fraud.outcome_questions TO tallystick_fraud;
"""


def upgrade() -> None:
    op.execute(_QUESTIONS)


def downgrade() -> None:
    op.execute("DROP TABLE fraud.outcome_questions")
