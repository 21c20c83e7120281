"""Count wrong guesses of passwords and codes, by a keyed hash of the e-mail or the address."""

from alembic import op

revision = "0015"
down_revision = "0014"

_GUESSES = """
CREATE TABLE accounts.guesses (
    subject bytea NOT NULL,
    wrong integer NOT NULL,
    locked_until timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    CONSTRAINT guesses_pkey PRIMARY KEY (subject),
    CONSTRAINT guesses_subject_hashed CHECK (octet_length(subject) = 32),
    CONSTRAINT guesses_wrong_counted CHECK (wrong >= 0),
    -- Whoever guesses on purpose must not lock somebody out for ever.
    CONSTRAINT guesses_lock_bounded CHECK (locked_until <= last_at + interval '15 minutes')
);
CREATE INDEX guesses_last ON accounts.guesses (last_at);
CREATE INDEX sessions_from ON accounts.sessions (user_id, address);

GRANT SELECT, INSERT, UPDATE, DELETE ON accounts.guesses TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_GUESSES)


def downgrade() -> None:
    op.execute("DROP TABLE accounts.guesses; DROP INDEX accounts.sessions_from")
