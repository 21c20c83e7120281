"""What other services had customers told by e-mail, so that nobody is told twice."""

from alembic import op

revision = "0019"
down_revision = "0018"

_NOTICES = """
CREATE TABLE accounts.notices (
    user_id uuid NOT NULL,
    name text NOT NULL,
    noted_at timestamptz NOT NULL,
    CONSTRAINT notices_pkey PRIMARY KEY (user_id, name),
    CONSTRAINT notices_name_bounded CHECK (char_length(name) BETWEEN 1 AND 200)
);
CREATE INDEX notices_noted ON accounts.notices (noted_at);

GRANT SELECT, INSERT, DELETE ON accounts.notices TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_NOTICES)


def downgrade() -> None:
    op.execute("DROP TABLE accounts.notices")
