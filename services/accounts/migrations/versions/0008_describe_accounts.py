"""Keep what owners write on their accounts: a name and a few pairs of words."""

from alembic import op

revision = "0008"
down_revision = "0007"

# Twenty pairs of at most 40 and 200 characters of up to four bytes, each of which JSON may have to escape.
_DESCRIBE = """
ALTER TABLE accounts.accounts
    ADD COLUMN name text,
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}',
    ADD CONSTRAINT accounts_name_bounded CHECK (char_length(name) BETWEEN 1 AND 140),
    ADD CONSTRAINT accounts_metadata_bounded
        CHECK (jsonb_typeof(metadata) = 'object' AND octet_length(metadata::text) <= 40000);
"""


def upgrade() -> None:
    op.execute(_DESCRIBE)


def downgrade() -> None:
    op.execute("ALTER TABLE accounts.accounts DROP COLUMN name, DROP COLUMN metadata")
