"""A customer takes along what was decided on his transfers: the blocks among them are found as the others are."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Beside `decisions_slots`, which has all others: no decision pays for two indexes, and no approval for this one.
    op.execute("CREATE INDEX decisions_blocks ON fraud.decisions (user_id, decided_at) WHERE verdict = 'block'")


def downgrade() -> None:
    op.execute("DROP INDEX fraud.decisions_blocks")
