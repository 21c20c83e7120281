"""Keep from where money was asked for, in lumps: a row for each transfer would cost the intake a tenth of its speed."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# `said` is JSON: {"requests": [[transfer id, request id, place of the caller] …], "callers": [[address, client] …]}. A
# lump is found by its ids, which are in the order of time: it is a second of it.
_TABLE = """
CREATE TABLE gateway.money_callers (
    lump_id uuid NOT NULL,
    first_id uuid NOT NULL,
    last_id uuid NOT NULL,
    said bytea NOT NULL,
    CONSTRAINT money_callers_pkey PRIMARY KEY (lump_id),
    CONSTRAINT money_callers_in_order CHECK (first_id <= last_id)
);
ALTER TABLE gateway.money_callers ALTER said SET STORAGE EXTERNAL;
CREATE INDEX money_callers_by_last ON gateway.money_callers (last_id);
CREATE TRIGGER money_callers_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON gateway.money_callers
    FOR EACH STATEMENT EXECUTE FUNCTION gateway.refuse_audit_change();
GRANT SELECT, INSERT ON gateway.money_callers TO tallystick_gateway;
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(_TABLE)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE gateway.money_callers")
