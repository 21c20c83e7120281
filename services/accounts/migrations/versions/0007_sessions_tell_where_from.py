"""Sessions say since when, from where and by what proof, and are forgotten once they have expired."""

from alembic import op

revision = "0007"
down_revision = "0006"

# The defaults let the version before, which knows none of these columns, go on while this one is rolled out.
_SESSIONS = """
ALTER TABLE accounts.sessions
    ADD COLUMN begun_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN proven_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN factors text[] NOT NULL DEFAULT '{pwd}',
    ADD COLUMN address text NOT NULL DEFAULT '',
    ADD COLUMN user_agent text NOT NULL DEFAULT '',
    ADD CONSTRAINT sessions_factors_known CHECK (factors <@ ARRAY['pwd', 'otp'] AND factors <> '{}'),
    ADD CONSTRAINT sessions_address_bounded CHECK (char_length(address) <= 64),
    ADD CONSTRAINT sessions_user_agent_bounded CHECK (char_length(user_agent) <= 200);
UPDATE accounts.sessions SET begun_at = issued_at, proven_at = issued_at;

-- Of what followed from one log-in there is one token that may still be used.
CREATE UNIQUE INDEX sessions_one_newest ON accounts.sessions (family_id) WHERE rotated_at IS NULL;
CREATE INDEX sessions_live ON accounts.sessions (user_id, family_id) WHERE rotated_at IS NULL AND revoked_at IS NULL;
CREATE INDEX sessions_expired ON accounts.sessions (expires_at);

GRANT DELETE ON accounts.sessions TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_SESSIONS)


def downgrade() -> None:
    op.execute(
        """
        REVOKE DELETE ON accounts.sessions FROM tallystick_accounts;
        DROP INDEX accounts.sessions_one_newest, accounts.sessions_live, accounts.sessions_expired;
        ALTER TABLE accounts.sessions DROP COLUMN begun_at, DROP COLUMN proven_at, DROP COLUMN factors,
            DROP COLUMN address, DROP COLUMN user_agent;
        """
    )
