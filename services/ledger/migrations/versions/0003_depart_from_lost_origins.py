"""Statements by which the ledger goes on under a new origin, when the end of what it had signed is lost."""

from alembic import op

revision = "0003"
down_revision = "0002"

# The note alone is read, and only if a trusted key has signed it: a row somebody adds by hand lifts no floor. The
# service never writes here, an administrator's command does.
_TABLES = """
CREATE TABLE ledger.origins (
    shard integer NOT NULL,
    origin text NOT NULL,
    started_at timestamptz NOT NULL,
    note text NOT NULL,
    CONSTRAINT origins_pkey PRIMARY KEY (shard, origin)
);
CREATE TRIGGER origins_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.origins
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
GRANT SELECT ON ledger.origins TO tallystick_ledger;
"""


def upgrade() -> None:
    op.execute(_TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE ledger.origins;")
