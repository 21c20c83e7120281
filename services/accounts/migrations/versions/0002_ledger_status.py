"""Keep what staff let an account do in the ledger, and since which record of its journal."""

from alembic import op

revision = "0002"
down_revision = "0001"

# Beside `status`, which is where the account stands in being opened and closed here: others are told that one.
_LEDGER_STATUS = """
ALTER TABLE accounts.accounts
    ADD COLUMN ledger_status text NOT NULL DEFAULT 'active',
    ADD COLUMN ledger_index bigint NOT NULL DEFAULT -1,
    ADD CONSTRAINT accounts_ledger_status_known
        CHECK (ledger_status IN ('active', 'frozen', 'suspended', 'closed'));
"""


def upgrade() -> None:
    op.execute(_LEDGER_STATUS)


def downgrade() -> None:
    op.execute("ALTER TABLE accounts.accounts DROP COLUMN ledger_status, DROP COLUMN ledger_index")
