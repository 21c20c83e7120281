"""Keep who asked to set a new password, and the hash of the token he was mailed."""

from alembic import op

revision = "0009"
down_revision = "0008"

# No foreign key: a row is written alike for an e-mail that nobody has (user_id NULL), in the same time.
_RESETS = """
CREATE TABLE accounts.password_resets (
    reset_id uuid NOT NULL,
    user_id uuid,
    asked_at timestamptz NOT NULL,
    token_hash bytea,
    expires_at timestamptz,
    used_at timestamptz,
    CONSTRAINT password_resets_pkey PRIMARY KEY (reset_id),
    CONSTRAINT password_resets_token_unique UNIQUE (token_hash),
    CONSTRAINT password_resets_token_sha256 CHECK (octet_length(token_hash) = 32),
    CONSTRAINT password_resets_token_whole CHECK ((token_hash IS NULL) = (expires_at IS NULL)),
    CONSTRAINT password_resets_token_somebodys CHECK (token_hash IS NULL OR user_id IS NOT NULL),
    CONSTRAINT password_resets_used_token CHECK (used_at IS NULL OR token_hash IS NOT NULL)
);
CREATE INDEX password_resets_waiting ON accounts.password_resets (reset_id) WHERE token_hash IS NULL;
CREATE INDEX password_resets_user ON accounts.password_resets (user_id, asked_at);
CREATE INDEX password_resets_asked ON accounts.password_resets (asked_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON accounts.password_resets TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_RESETS)


def downgrade() -> None:
    op.execute("DROP TABLE accounts.password_resets")
