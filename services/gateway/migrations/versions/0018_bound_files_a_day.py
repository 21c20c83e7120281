"""Count what each principal sends in files within a day of the first of them, and let it be no more than so much."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_TABLE = """
CREATE TABLE gateway.batch_volumes (
    principal_id uuid NOT NULL,
    since timestamptz NOT NULL,
    lines integer NOT NULL,
    bytes bigint NOT NULL,
    CONSTRAINT batch_volumes_pkey PRIMARY KEY (principal_id),
    CONSTRAINT batch_volumes_lines_bounded CHECK (lines BETWEEN 0 AND 1000000),
    CONSTRAINT batch_volumes_bytes_bounded CHECK (bytes BETWEEN 0 AND 268435456)
);
GRANT SELECT, INSERT, UPDATE ON gateway.batch_volumes TO tallystick_gateway;
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(_TABLE)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE gateway.batch_volumes")
