"""Files of transfers that are carried out in the background, piece by piece."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# A batch is there once its file has come whole and is in order. Pieces come before it; those of a file that never did
# are deleted. The lines of a piece never change: what is repeated after a crash is what was sent.
_TABLES = """
CREATE TABLE gateway.batches (
    batch_id uuid NOT NULL,
    principal_id uuid NOT NULL,
    idempotency_key text NOT NULL,
    body_hash bytea NOT NULL,
    lines integer NOT NULL,
    pieces integer NOT NULL,
    status text NOT NULL DEFAULT 'queued',
    created_at timestamptz NOT NULL,
    worked_at timestamptz NOT NULL,
    leased_until timestamptz,
    finished_at timestamptz,
    CONSTRAINT batches_pkey PRIMARY KEY (batch_id),
    CONSTRAINT batches_idempotency_key_unique UNIQUE (principal_id, idempotency_key),
    CONSTRAINT batches_status_known CHECK (status IN ('queued', 'running', 'done', 'cancelled')),
    CONSTRAINT batches_lines_bounded CHECK (lines BETWEEN 1 AND 100000),
    CONSTRAINT batches_finished_once CHECK ((finished_at IS NULL) = (status IN ('queued', 'running')))
);
CREATE INDEX batches_open ON gateway.batches (worked_at, batch_id) WHERE finished_at IS NULL;
CREATE INDEX batches_of_principal ON gateway.batches (principal_id, batch_id);

CREATE TABLE gateway.batch_pieces (
    batch_id uuid NOT NULL,
    number integer NOT NULL,
    lines bytea NOT NULL,
    transfer_ids uuid[],
    failures bytea,
    CONSTRAINT batch_pieces_pkey PRIMARY KEY (batch_id, number),
    CONSTRAINT batch_pieces_done_whole CHECK ((transfer_ids IS NULL) = (failures IS NULL))
);
CREATE TRIGGER batch_pieces_lines_stay BEFORE UPDATE OF batch_id, number, lines ON gateway.batch_pieces
    FOR EACH ROW EXECUTE FUNCTION gateway.refuse_change();

GRANT SELECT, INSERT, UPDATE ON gateway.batches TO tallystick_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON gateway.batch_pieces TO tallystick_gateway;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE gateway.batches, gateway.batch_pieces")
