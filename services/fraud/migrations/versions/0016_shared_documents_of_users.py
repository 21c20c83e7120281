"""Rules read when documents of a customer turned out to be somebody else's as well: in his row, with its version."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# Null for nearly everybody. What was noticed before counts as well; a version before this one does not read it, so the
# rows' versions stay.
_SHARED = """
ALTER TABLE fraud.users ADD COLUMN documents_shared_at timestamptz[],
    ADD CONSTRAINT users_documents_shared_few CHECK (
        cardinality(documents_shared_at) BETWEEN 1 AND 20 AND array_position(documents_shared_at, NULL) IS NULL);
COMMENT ON COLUMN fraud.users.documents_shared_at IS 'Of fraud.signals: the newest moments, twenty at most.';
INSERT INTO fraud.users AS u (user_id, version, documents_shared_at)
SELECT user_id, 1, (array_agg(at ORDER BY at DESC))[:20] FROM fraud.signals WHERE kind = 'document_shared'
GROUP BY user_id ORDER BY user_id
ON CONFLICT (user_id) DO UPDATE SET documents_shared_at = excluded.documents_shared_at;
"""


def upgrade() -> None:
    op.execute(_SHARED)


def downgrade() -> None:
    op.execute("ALTER TABLE fraud.users DROP COLUMN documents_shared_at")
