"""A batch ends once, done or cancelled; then neither it nor a piece of it changes."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Whoever keeps a piece holds the batch's row, so what the second trigger sees of it is not about to change.
_TRIGGERS = """
CREATE TRIGGER batches_end_once BEFORE UPDATE ON gateway.batches
    FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION gateway.refuse_change();

CREATE FUNCTION gateway.refuse_late_piece() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gateway.batches b WHERE b.batch_id = NEW.batch_id AND b.finished_at IS NOT NULL) THEN
        RAISE EXCEPTION 'the batch has ended; nothing more of it is carried out' USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER batch_pieces_end_with_batch BEFORE UPDATE ON gateway.batch_pieces
    FOR EACH ROW EXECUTE FUNCTION gateway.refuse_late_piece();
"""


def upgrade() -> None:
    """Make the triggers."""
    op.execute(_TRIGGERS)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TRIGGER batch_pieces_end_with_batch ON gateway.batch_pieces")
    op.execute("DROP FUNCTION gateway.refuse_late_piece()")
    op.execute("DROP TRIGGER batches_end_once ON gateway.batches")
