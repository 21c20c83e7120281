"""Create what the gateway keeps: requests, their outcomes, the requests to repeat, and its projections."""

from alembic import op

from libs.common.db.shared_tables import dead_letters_sql, outbox_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# `transfers` is append-only: what was asked never changes, and the row is the request's own outbox. What became of it
# stands in `outcomes`, whose small rows are cheap to write and are almost never updated.
_TABLES = """
CREATE TABLE gateway.transfers (
    transfer_id uuid NOT NULL,
    principal_id uuid NOT NULL,
    scope text NOT NULL,
    idempotency_key text NOT NULL,
    body_hash bytea NOT NULL,
    batch_id uuid,
    batch_position integer,
    command bytea NOT NULL,
    memo bytea,
    memo_salt bytea,
    accepted_at timestamptz NOT NULL,
    CONSTRAINT transfers_pkey PRIMARY KEY (transfer_id),
    CONSTRAINT transfers_idempotency_key_unique UNIQUE (principal_id, scope, idempotency_key),
    CONSTRAINT transfers_scope_known CHECK (scope IN ('transfers', 'deposits', 'batch')),
    CONSTRAINT transfers_key_bounded CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    CONSTRAINT transfers_batch_whole CHECK ((batch_id IS NULL) = (batch_position IS NULL))
);
CREATE INDEX transfers_batch ON gateway.transfers (batch_id, batch_position) WHERE batch_id IS NOT NULL;

CREATE TABLE gateway.outcomes (
    transfer_id uuid NOT NULL,
    status text NOT NULL,
    version integer NOT NULL,
    code text NOT NULL,
    reasons text[] NOT NULL,
    facts bytea NOT NULL,
    journal_index bigint NOT NULL,
    occurred_at text NOT NULL,
    CONSTRAINT outcomes_pkey PRIMARY KEY (transfer_id),
    CONSTRAINT outcomes_status_known
        CHECK (status IN ('posted', 'held', 'refused', 'blocked', 'voided', 'parked')),
    CONSTRAINT outcomes_version_counts CHECK (version >= 0)
) WITH (fillfactor = 90);

CREATE TABLE gateway.repeats (
    transfer_id uuid NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_send_at timestamptz NOT NULL,
    CONSTRAINT repeats_pkey PRIMARY KEY (transfer_id)
);
CREATE INDEX repeats_due ON gateway.repeats (next_send_at, transfer_id);

CREATE TABLE gateway.sweep_marks (
    only_row boolean NOT NULL DEFAULT true,
    swept_to uuid NOT NULL,
    CONSTRAINT sweep_marks_pkey PRIMARY KEY (only_row),
    CONSTRAINT sweep_marks_single CHECK (only_row)
);
INSERT INTO gateway.sweep_marks (swept_to) VALUES ('00000000-0000-0000-0000-000000000000');

CREATE TABLE gateway.accounts (
    account_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    asset text NOT NULL,
    status text NOT NULL,
    version integer NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (account_id)
);

CREATE TABLE gateway.customers (
    user_id uuid NOT NULL,
    profile text NOT NULL DEFAULT 'retail',
    profile_version integer NOT NULL DEFAULT 0,
    kyc_tier integer NOT NULL DEFAULT 0,
    kyc_version integer NOT NULL DEFAULT 0,
    CONSTRAINT customers_pkey PRIMARY KEY (user_id)
);

CREATE FUNCTION gateway.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'gateway.% keeps what was asked; it is never changed', TG_TABLE_NAME USING ERRCODE = '23001';
END $$;
CREATE TRIGGER transfers_append_only BEFORE UPDATE OR DELETE ON gateway.transfers
    FOR EACH ROW EXECUTE FUNCTION gateway.refuse_change();
CREATE TRIGGER transfers_never_truncated BEFORE TRUNCATE ON gateway.transfers
    FOR EACH STATEMENT EXECUTE FUNCTION gateway.refuse_change();

GRANT SELECT, INSERT ON gateway.transfers TO tallystick_gateway;
GRANT SELECT, INSERT, UPDATE ON gateway.outcomes, gateway.accounts, gateway.customers TO tallystick_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON gateway.repeats TO tallystick_gateway;
GRANT SELECT, UPDATE ON gateway.sweep_marks TO tallystick_gateway;
"""


def upgrade() -> None:
    """Make the tables, the outbox and the dead letters."""
    op.execute(_TABLES)
    op.execute(outbox_sql("gateway"))
    op.execute(dead_letters_sql("gateway"))


def downgrade() -> None:
    """Drop all of it."""
    op.execute("DROP TABLE gateway.transfers, gateway.outcomes, gateway.repeats, gateway.sweep_marks, gateway.accounts")
    op.execute("DROP TABLE gateway.customers, gateway.outbox, gateway.outbox_lease, gateway.dead_letters")
    op.execute("DROP FUNCTION gateway.refuse_change()")
