"""Lines are dropped that nobody will carry out, and all of a batch 30 days after its end, once it is counted."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# `final_counts` is status → number of lines, and comes once. Lines stay until it is there, save those that were never
# taken and never will be, and those of a file that is no batch yet. A day is left for clocks that differ.
_UP = """
ALTER TABLE gateway.batches ADD final_counts jsonb;
ALTER TABLE gateway.batches ADD CONSTRAINT batches_counted_at_last CHECK (
    final_counts IS NULL OR (jsonb_typeof(final_counts) = 'object' AND finished_at IS NOT NULL));
CREATE INDEX batches_with_lines ON gateway.batches (finished_at)
    WHERE finished_at IS NOT NULL AND final_counts IS NULL;

CREATE FUNCTION gateway.refuse_change_of_ended_batch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.final_counts IS NULL AND OLD.finished_at < now() - interval '29 days'
        AND to_jsonb(NEW) - 'final_counts' = to_jsonb(OLD) - 'final_counts' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'an ended batch is never changed, but for its last count' USING ERRCODE = '23001';
END $$;
DROP TRIGGER batches_end_once ON gateway.batches;
CREATE TRIGGER batches_end_once BEFORE UPDATE ON gateway.batches
    FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION gateway.refuse_change_of_ended_batch();

CREATE FUNCTION gateway.refuse_dropping_lines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM gateway.batches b WHERE b.batch_id = OLD.batch_id AND b.final_counts IS NULL
            AND NOT (b.status = 'cancelled' AND OLD.transfer_ids IS NULL)) THEN
        RAISE EXCEPTION 'lines of a batch stay until they are counted at last' USING ERRCODE = '23001';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER batch_pieces_stay_until_counted BEFORE DELETE ON gateway.batch_pieces
    FOR EACH ROW EXECUTE FUNCTION gateway.refuse_dropping_lines();

DELETE FROM gateway.batch_pieces p USING gateway.batches b
WHERE b.batch_id = p.batch_id AND b.status = 'cancelled' AND p.transfer_ids IS NULL;
"""


def upgrade() -> None:
    """Make column, index and triggers, and drop what cancelled batches have left."""
    op.execute(_UP)


def downgrade() -> None:
    """Take them back; lines that were dropped stay away."""
    op.execute("DROP TRIGGER batch_pieces_stay_until_counted ON gateway.batch_pieces")
    op.execute("DROP FUNCTION gateway.refuse_dropping_lines()")
    op.execute("DROP TRIGGER batches_end_once ON gateway.batches")
    op.execute("DROP FUNCTION gateway.refuse_change_of_ended_batch()")
    op.execute(
        "CREATE TRIGGER batches_end_once BEFORE UPDATE ON gateway.batches"
        " FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION gateway.refuse_change()"
    )
    op.execute("ALTER TABLE gateway.batches DROP final_counts")
