"""How many tries of the unit of work it took to decide a transfer's newest state."""

from alembic import op

revision = "0007"
down_revision = "0006"

# A constant default is kept beside the table: no row is written again, however many there are.
_COLUMN = """
ALTER TABLE ledger.transfers
    ADD COLUMN attempts smallint NOT NULL DEFAULT 1,
    ADD CONSTRAINT transfers_attempts_positive CHECK (attempts > 0) NOT VALID;
"""


def upgrade() -> None:
    op.execute(_COLUMN)


def downgrade() -> None:
    op.execute("ALTER TABLE ledger.transfers DROP COLUMN attempts")
