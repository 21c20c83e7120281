"""Later messages of a key wait behind a parked one, where the topic's contract says so."""

from alembic import op

from libs.common.db.shared_tables import key_queues_sql, without_key_queues_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute(key_queues_sql("kyc"))


def downgrade() -> None:
    op.execute(without_key_queues_sql("kyc"))
