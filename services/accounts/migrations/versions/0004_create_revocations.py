"""Keep which credentials were revoked, for services that missed the message or have just started."""

from alembic import op

revision = "0004"
down_revision = "0003"

_REVOCATIONS = """
CREATE TABLE accounts.revocations (
    revocation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    session_id uuid,
    key_id text,
    occurred_at timestamptz NOT NULL,
    CONSTRAINT revocations_pkey PRIMARY KEY (revocation_id),
    CONSTRAINT revocations_user_known FOREIGN KEY (user_id) REFERENCES accounts.customers (user_id),
    CONSTRAINT revocations_name_one CHECK (session_id IS NULL OR key_id IS NULL)
);
CREATE INDEX revocations_in_order ON accounts.revocations (occurred_at, revocation_id);

-- No UPDATE: what was revoked stays so. Deleted once every token of the time has run out.
GRANT SELECT, INSERT, DELETE ON accounts.revocations TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_REVOCATIONS)


def downgrade() -> None:
    op.execute("DROP TABLE accounts.revocations")
