"""Who still has to prove his e-mail: the hash of the token mailed last, and when he may have another."""

from alembic import op

revision = "0006"
down_revision = "0005"

_EMAIL_VERIFICATIONS = """
CREATE TABLE accounts.email_verifications (
    user_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    mails integer NOT NULL,
    next_mail_at timestamptz NOT NULL,
    CONSTRAINT email_verifications_pkey PRIMARY KEY (user_id),
    CONSTRAINT email_verifications_user_known FOREIGN KEY (user_id) REFERENCES accounts.customers (user_id),
    CONSTRAINT email_verifications_token_unique UNIQUE (token_hash),
    CONSTRAINT email_verifications_token_sha256 CHECK (octet_length(token_hash) = 32),
    CONSTRAINT email_verifications_mails_positive CHECK (mails >= 1)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON accounts.email_verifications TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_EMAIL_VERIFICATIONS)


def downgrade() -> None:
    op.execute("DROP TABLE accounts.email_verifications")
