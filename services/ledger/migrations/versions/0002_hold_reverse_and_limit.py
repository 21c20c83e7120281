"""Holds that callers capture, reversals, commands, limits of accounts, fee schedules, the chart of accounts."""

from alembic import op

from services.ledger.domain.system_accounts import CHART, NUMBERS

revision = "0002"
down_revision = "0001"

# Everything a hold or a reversal adds to a transfer stands in `settlements`, and only for transfers that have it: the
# rows of `transfers`, of which there are most, stay as small as they are.
_TABLES = """
ALTER TABLE ledger.accounts
    ADD COLUMN maximum_minor bigint NOT NULL DEFAULT 9007199254740991,
    ADD COLUMN type text NOT NULL DEFAULT 'liability',
    ADD COLUMN code text NOT NULL DEFAULT '2000',
    ADD CONSTRAINT accounts_maximum_kept CHECK (posted_minor + pending_in_minor <= maximum_minor),
    ADD CONSTRAINT accounts_maximum_exact CHECK (maximum_minor BETWEEN minimum_minor AND 9007199254740991),
    ADD CONSTRAINT accounts_type_known CHECK (type IN ('asset', 'liability', 'equity', 'income', 'expense')),
    ADD CONSTRAINT accounts_code_four_digits CHECK (code ~ '^[0-9]{4}$'),
    ADD CONSTRAINT accounts_closed_empty CHECK (status <> 'closed'
        OR (posted_minor = 0 AND pending_in_minor = 0 AND pending_out_minor = 0));

ALTER TABLE ledger.entries ADD COLUMN journal_index bigint;
ALTER TABLE ledger.entries DISABLE TRIGGER entries_append_only;
UPDATE ledger.entries e SET journal_index = t.journal_index FROM ledger.transfers t WHERE t.transfer_id = e.transfer_id;
ALTER TABLE ledger.entries ENABLE TRIGGER entries_append_only;
ALTER TABLE ledger.entries ALTER journal_index SET NOT NULL;

ALTER TABLE ledger.transfers DROP CONSTRAINT transfers_kind_known, DROP CONSTRAINT transfers_held_for_reasons;
ALTER TABLE ledger.transfers
    ADD CONSTRAINT transfers_kind_known CHECK (kind IN ('transfer', 'deposit', 'withdrawal', 'reversal')),
    ADD CONSTRAINT transfers_reasons_of_holds CHECK (status = 'held' OR cardinality(reasons) = 0);
ALTER TABLE ledger.journal ALTER transfer_id DROP NOT NULL;

CREATE FUNCTION ledger.is_within(parts bigint[], wholes bigint[]) RETURNS boolean IMMUTABLE STRICT LANGUAGE sql
RETURN cardinality(parts) = cardinality(wholes)
    AND (SELECT coalesce(bool_and(part BETWEEN 0 AND whole), true) FROM unnest(parts, wholes) AS p (part, whole));

CREATE TABLE ledger.settlements (
    transfer_id uuid NOT NULL,
    shard integer NOT NULL,
    legs_index bigint NOT NULL,
    resolver text NOT NULL,
    expires_at timestamptz,
    fee_schedule integer NOT NULL,
    amounts_minor bigint[] NOT NULL,
    captured_minor bigint[] NOT NULL,
    reversed_minor bigint[] NOT NULL,
    fees bytea NOT NULL,
    is_open boolean NOT NULL,
    CONSTRAINT settlements_pkey PRIMARY KEY (transfer_id),
    CONSTRAINT settlements_transfer_known FOREIGN KEY (transfer_id) REFERENCES ledger.transfers,
    CONSTRAINT settlements_resolver_known CHECK (resolver IN ('', 'caller', 'fraud')),
    CONSTRAINT settlements_caller_expires CHECK ((resolver = 'caller') = (expires_at IS NOT NULL)),
    CONSTRAINT settlements_captured_within_held CHECK (ledger.is_within(captured_minor, amounts_minor)),
    CONSTRAINT settlements_reversed_within_captured CHECK (ledger.is_within(reversed_minor, captured_minor))
) WITH (fillfactor = 70);
CREATE INDEX settlements_expiring ON ledger.settlements (expires_at) WHERE is_open AND expires_at IS NOT NULL;

CREATE TABLE ledger.reversals (
    reversal_id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    actor_id uuid NOT NULL,
    amounts_minor bigint[] NOT NULL,
    reason_commitment text NOT NULL,
    shard integer NOT NULL,
    journal_index bigint NOT NULL,
    reversed_at timestamptz NOT NULL,
    CONSTRAINT reversals_pkey PRIMARY KEY (reversal_id),
    CONSTRAINT reversals_transfer_known FOREIGN KEY (transfer_id) REFERENCES ledger.transfers
);
CREATE INDEX reversals_of_transfer ON ledger.reversals (transfer_id, journal_index);

CREATE TABLE ledger.commands (
    command_id uuid NOT NULL,
    kind text NOT NULL,
    subject_id uuid NOT NULL,
    status text NOT NULL,
    code text NOT NULL,
    facts jsonb,
    shard integer NOT NULL,
    journal_index bigint NOT NULL,
    decided_at timestamptz NOT NULL,
    CONSTRAINT commands_pkey PRIMARY KEY (command_id),
    CONSTRAINT commands_status_known CHECK (status IN ('done', 'refused')),
    CONSTRAINT commands_no_said_why CHECK ((status = 'done') = (code = ''))
);
CREATE INDEX commands_by_record ON ledger.commands (shard, journal_index);

CREATE TABLE ledger.fee_schedules (
    version integer NOT NULL,
    rules bytea NOT NULL,
    sha256 bytea NOT NULL,
    published_by uuid NOT NULL,
    shard integer NOT NULL,
    journal_index bigint NOT NULL,
    published_at timestamptz NOT NULL,
    CONSTRAINT fee_schedules_pkey PRIMARY KEY (version),
    CONSTRAINT fee_schedules_version_positive CHECK (version > 0)
);
"""
_APPEND_ONLY = ("reversals", "commands", "fee_schedules")

_GRANTS = """
GRANT SELECT, INSERT, UPDATE ON ledger.settlements TO tallystick_ledger;
GRANT SELECT, INSERT ON ledger.reversals, ledger.commands, ledger.fee_schedules TO tallystick_ledger;
"""


def upgrade() -> None:
    op.execute(_TABLES)
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();"
        )
    op.execute(_GRANTS)
    for number in NUMBERS:
        kind, code = CHART[number]
        op.execute(f"UPDATE ledger.accounts SET type = '{kind}', code = '{code}' WHERE account_number = '{number}'")


def downgrade() -> None:
    op.execute(
        """
        DROP TABLE ledger.settlements, ledger.reversals, ledger.commands, ledger.fee_schedules;
        DROP FUNCTION ledger.is_within;
        ALTER TABLE ledger.entries DROP COLUMN journal_index;
        ALTER TABLE ledger.accounts DROP COLUMN maximum_minor, DROP COLUMN type, DROP COLUMN code,
            DROP CONSTRAINT accounts_closed_empty;
        ALTER TABLE ledger.transfers DROP CONSTRAINT transfers_reasons_of_holds;
        """
    )
