"""Mails wait in a table until they are sent; what was sent is deleted, because it holds personal data."""

from alembic import op

revision = "0003"
down_revision = "0002"

_MAILS = """
CREATE TABLE accounts.mails (
    mail_id uuid NOT NULL,
    recipient text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    queued_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mails_pkey PRIMARY KEY (mail_id),
    CONSTRAINT mails_recipient_bounded CHECK (octet_length(recipient) BETWEEN 3 AND 254),
    CONSTRAINT mails_subject_one_line CHECK (subject !~ '[\\r\\n]' AND char_length(subject) BETWEEN 1 AND 200),
    CONSTRAINT mails_body_bounded CHECK (char_length(body) BETWEEN 1 AND 10000),
    CONSTRAINT mails_tries_counted CHECK (tries >= 0)
);
CREATE INDEX mails_due ON accounts.mails (due_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON accounts.mails TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_MAILS)


def downgrade() -> None:
    op.execute("DROP TABLE accounts.mails")
