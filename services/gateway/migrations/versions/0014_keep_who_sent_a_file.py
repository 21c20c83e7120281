"""Keep from where a file of transfers was sent: its transfers are carried out later, by any process."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: JSON with address, client, request and API key; of earlier files nothing is known."""
    op.execute("ALTER TABLE gateway.batches ADD asked_from bytea NOT NULL DEFAULT '{}'")
    op.execute("ALTER TABLE gateway.batches ALTER asked_from DROP DEFAULT")


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE gateway.batches DROP asked_from")
