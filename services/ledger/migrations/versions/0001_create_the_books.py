"""Accounts with their balances, entries, transfers, the journal with its tree, and the accounts of the house."""

from alembic import op

from libs.common.db.shared_tables import dead_letters_sql, outbox_sql
from libs.common.money import FIRST_ASSETS
from services.ledger.domain.system_accounts import system_accounts_of

revision = "0001"
down_revision = None

# Rows of `accounts` change with every transfer: with half of each page free and no index on what changes, an update
# stays on its page and touches no index (heap-only tuples).
# entries and journal have no foreign keys: the writer alone inserts, from accounts it has locked by version, and each
# check would cost a row lock per entry. `tallystick verify` checks what they would.
_TABLES = """
CREATE TABLE ledger.accounts (
    account_id uuid NOT NULL,
    account_number text NOT NULL,
    owner_id uuid,
    asset text NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    posted_minor bigint NOT NULL DEFAULT 0,
    pending_in_minor bigint NOT NULL DEFAULT 0,
    pending_out_minor bigint NOT NULL DEFAULT 0,
    minimum_minor bigint NOT NULL DEFAULT 0,
    last_seq bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 1,
    opened_at timestamptz NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (account_id),
    CONSTRAINT accounts_number_unique UNIQUE (account_number, asset),
    CONSTRAINT accounts_kind_known CHECK (kind IN ('customer', 'system')),
    CONSTRAINT accounts_owner_fits_kind CHECK ((owner_id IS NULL) = (kind = 'system')),
    CONSTRAINT accounts_status_known CHECK (status IN ('active', 'frozen', 'suspended', 'closed')),
    CONSTRAINT accounts_pending_not_negative CHECK (pending_in_minor >= 0 AND pending_out_minor >= 0),
    CONSTRAINT accounts_minimum_kept CHECK (posted_minor - pending_out_minor >= minimum_minor),
    CONSTRAINT accounts_balance_exact CHECK (posted_minor + pending_in_minor <= 9007199254740991
        AND posted_minor >= -9007199254740991 AND minimum_minor >= -9007199254740991),
    CONSTRAINT accounts_seq_not_negative CHECK (last_seq >= 0),
    CONSTRAINT accounts_version_positive CHECK (version > 0)
) WITH (fillfactor = 50);

CREATE TABLE ledger.entries (
    account_id uuid NOT NULL,
    seq bigint NOT NULL,
    transfer_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    balance_after_minor bigint NOT NULL,
    posted_at timestamptz NOT NULL,
    CONSTRAINT entries_pkey PRIMARY KEY (account_id, seq),
    CONSTRAINT entries_seq_positive CHECK (seq > 0),
    CONSTRAINT entries_amount_exact CHECK (amount_minor <> 0
        AND amount_minor BETWEEN -9007199254740991 AND 9007199254740991),
    CONSTRAINT entries_balance_exact CHECK (balance_after_minor BETWEEN -9007199254740991 AND 9007199254740991)
);

CREATE TABLE ledger.transfers (
    transfer_id uuid NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    version integer NOT NULL,
    code text NOT NULL,
    reasons text[] NOT NULL,
    facts jsonb,
    shard integer NOT NULL,
    journal_index bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT transfers_pkey PRIMARY KEY (transfer_id),
    CONSTRAINT transfers_kind_known CHECK (kind IN ('transfer', 'deposit')),
    CONSTRAINT transfers_status_known CHECK (status IN ('posted', 'held', 'refused', 'blocked', 'voided')),
    CONSTRAINT transfers_no_said_why CHECK ((status IN ('posted', 'held')) = (code = '')),
    CONSTRAINT transfers_held_for_reasons CHECK ((status = 'held') = (cardinality(reasons) > 0)),
    CONSTRAINT transfers_version_positive CHECK (version > 0)
);
CREATE INDEX transfers_held ON ledger.transfers (journal_index) WHERE status = 'held';

CREATE TABLE ledger.journal (
    shard integer NOT NULL,
    journal_index bigint NOT NULL,
    kind text NOT NULL,
    transfer_id uuid NOT NULL,
    record bytea NOT NULL,
    leaf_hash bytea NOT NULL,
    chain_hash bytea NOT NULL,
    CONSTRAINT journal_pkey PRIMARY KEY (shard, journal_index),
    CONSTRAINT journal_index_from_zero CHECK (journal_index >= 0),
    CONSTRAINT journal_hashes_sha256 CHECK (octet_length(leaf_hash) = 32 AND octet_length(chain_hash) = 32)
);
ALTER TABLE ledger.journal ALTER record SET STORAGE EXTERNAL;

CREATE TABLE ledger.tree_tiles (
    shard integer NOT NULL,
    level integer NOT NULL,
    tile_index bigint NOT NULL,
    root bytea NOT NULL,
    hashes bytea NOT NULL,
    CONSTRAINT tree_tiles_pkey PRIMARY KEY (shard, level, tile_index),
    CONSTRAINT tree_tiles_full CHECK (octet_length(hashes) = 8192 AND octet_length(root) = 32)
);
-- Hashes do not compress; trying costs.
ALTER TABLE ledger.tree_tiles ALTER hashes SET STORAGE EXTERNAL;

CREATE TABLE ledger.blocks (
    shard integer NOT NULL,
    size bigint NOT NULL,
    previous_size bigint NOT NULL,
    root bytea NOT NULL,
    chain_hash bytea NOT NULL,
    sealed_at timestamptz NOT NULL,
    CONSTRAINT blocks_pkey PRIMARY KEY (shard, size),
    CONSTRAINT blocks_previous_once UNIQUE (shard, previous_size),
    CONSTRAINT blocks_grow CHECK (previous_size >= 0 AND size > previous_size),
    CONSTRAINT blocks_hashes_sha256 CHECK (octet_length(root) = 32 AND octet_length(chain_hash) = 32)
);

CREATE TABLE ledger.checkpoints (
    shard integer NOT NULL,
    size bigint NOT NULL,
    note text NOT NULL,
    CONSTRAINT checkpoints_pkey PRIMARY KEY (shard, size)
);

CREATE TABLE ledger.heads (
    shard integer NOT NULL,
    size bigint NOT NULL,
    chain_hash bytea NOT NULL,
    last_record_at timestamptz NOT NULL,
    published_size bigint NOT NULL,
    halted boolean NOT NULL DEFAULT false,
    CONSTRAINT heads_pkey PRIMARY KEY (shard),
    CONSTRAINT heads_published_not_ahead CHECK (published_size BETWEEN 0 AND size),
    CONSTRAINT heads_chain_hash_sha256 CHECK (octet_length(chain_hash) = 32)
) WITH (fillfactor = 10);
-- The chain starts from 32 zero bytes.
INSERT INTO ledger.heads (shard, size, chain_hash, last_record_at, published_size)
    VALUES (0, 0, decode(repeat('00', 32), 'hex'), '1970-01-01 00:00:00+00', 0);
"""

_FOR_EVER = """
CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger.% accepts INSERT only: what was written is proven to others', TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END
$$;
"""
_APPEND_ONLY = ("entries", "journal", "tree_tiles", "blocks", "checkpoints")

_GRANTS = """
GRANT SELECT, INSERT ON ledger.entries, ledger.journal, ledger.tree_tiles, ledger.blocks, ledger.checkpoints
    TO tallystick_ledger;
GRANT SELECT, INSERT, UPDATE ON ledger.accounts, ledger.transfers TO tallystick_ledger;
GRANT SELECT, UPDATE ON ledger.heads TO tallystick_ledger;
"""


def upgrade() -> None:
    op.execute(_TABLES)
    op.execute(_FOR_EVER)
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();"
        )
    op.execute(_GRANTS)
    for account in (account for asset in FIRST_ASSETS for account in system_accounts_of(asset)):
        op.execute(
            "INSERT INTO ledger.accounts (account_id, account_number, asset, kind, status, minimum_minor, opened_at) "
            f"VALUES ('{account.account_id}', '{account.account_number}', '{account.asset}', 'system', 'active', "
            f"{account.minimum_minor}, now());"
        )
    op.execute(outbox_sql("ledger"))
    op.execute(dead_letters_sql("ledger"))


def downgrade() -> None:
    op.execute(
        """
        DROP TABLE ledger.accounts, ledger.entries, ledger.transfers, ledger.journal, ledger.tree_tiles, ledger.blocks,
            ledger.checkpoints, ledger.heads, ledger.dead_letters, ledger.outbox, ledger.outbox_lease;
        DROP FUNCTION ledger.refuse_change;
        """
    )
