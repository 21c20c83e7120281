"""Add commands about transfers and accounts, what a hold adds to an outcome, and the states after the frozen one."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A check that only allows more needs no look at the rows of a large table: what is stored met the narrower one.
_WIDEN = """
ALTER TABLE gateway.transfers DROP CONSTRAINT transfers_scope_known,
    ADD CONSTRAINT transfers_scope_known
        CHECK (scope IN ('transfers', 'deposits', 'withdrawals', 'batch')) NOT VALID;
ALTER TABLE gateway.outcomes DROP CONSTRAINT outcomes_status_known,
    ADD CONSTRAINT outcomes_status_known
        CHECK (status IN ('posted', 'held', 'refused', 'blocked', 'voided', 'parked', 'done')) NOT VALID,
    ADD COLUMN settlement jsonb;
ALTER TABLE gateway.repeats ADD COLUMN longest_wait_seconds integer NOT NULL DEFAULT 60;
"""

# `outcomes` keeps the answer that is frozen, of commands too: it is found by a transfer's id or a command's. What
# happens to a transfer later is rare, and stands in rows of its own, so that those of the many stay as they are.
_TABLES = """
CREATE TABLE gateway.commands (
    command_id uuid NOT NULL,
    principal_id uuid NOT NULL,
    scope text NOT NULL,
    idempotency_key text NOT NULL,
    body_hash bytea NOT NULL,
    subject_id uuid NOT NULL,
    message bytea NOT NULL,
    memo bytea,
    memo_salt bytea,
    accepted_at timestamptz NOT NULL,
    CONSTRAINT commands_pkey PRIMARY KEY (command_id),
    CONSTRAINT commands_idempotency_key_unique UNIQUE (principal_id, scope, idempotency_key),
    CONSTRAINT commands_scope_known
        CHECK (scope IN ('captures', 'voids', 'reversals', 'account-status', 'account-limits', 'fee-schedules')),
    CONSTRAINT commands_key_bounded CHECK (length(idempotency_key) BETWEEN 1 AND 255)
);
CREATE TRIGGER commands_append_only BEFORE UPDATE OR DELETE ON gateway.commands
    FOR EACH ROW EXECUTE FUNCTION gateway.refuse_change();
CREATE TRIGGER commands_never_truncated BEFORE TRUNCATE ON gateway.commands
    FOR EACH STATEMENT EXECUTE FUNCTION gateway.refuse_change();

CREATE TABLE gateway.later_states (
    transfer_id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    code text NOT NULL,
    reasons text[] NOT NULL,
    facts bytea NOT NULL,
    settlement jsonb,
    journal_index bigint NOT NULL,
    occurred_at text NOT NULL,
    CONSTRAINT later_states_pkey PRIMARY KEY (transfer_id, version),
    CONSTRAINT later_states_status_known CHECK (status IN ('posted', 'held', 'refused', 'blocked', 'voided')),
    CONSTRAINT later_states_version_later CHECK (version > 1)
);

CREATE TABLE gateway.account_states (
    account_id uuid NOT NULL,
    journal_index bigint NOT NULL,
    status text NOT NULL,
    minimum_minor bigint NOT NULL,
    maximum_minor bigint NOT NULL,
    occurred_at text NOT NULL,
    CONSTRAINT account_states_pkey PRIMARY KEY (account_id, journal_index),
    CONSTRAINT account_states_status_known CHECK (status IN ('active', 'frozen', 'suspended', 'closed'))
);

GRANT SELECT, INSERT ON gateway.commands, gateway.later_states, gateway.account_states TO tallystick_gateway;
"""


def upgrade() -> None:
    """Widen what is there, and make the new tables."""
    op.execute(_WIDEN)
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop the new tables and columns; the wider checks may stay, since rows may need them."""
    op.execute("DROP TABLE gateway.commands, gateway.later_states, gateway.account_states")
    op.execute("ALTER TABLE gateway.outcomes DROP COLUMN settlement")
    op.execute("ALTER TABLE gateway.repeats DROP COLUMN longest_wait_seconds")
