"""Find an entry by time or by journal index without an index on either, and transfers that never made an entry."""

from alembic import op

revision = "0004"
down_revision = "0003"

# Time and journal index never fall as an account's seq grows, so the primary key is enough: an account of a million
# entries is searched with 20 probes of a page or two. An index on either would be one more row for each entry written.
_SEARCHES = """
CREATE FUNCTION ledger.last_seq_at(account uuid, moment timestamptz) RETURNS bigint STABLE STRICT LANGUAGE plpgsql AS $$
DECLARE
    low bigint := 0;
    high bigint := (SELECT last_seq FROM ledger.accounts WHERE account_id = account);
    middle bigint := high;  -- the last one first: most accounts were not touched since
BEGIN
    WHILE low < high LOOP
        IF (SELECT posted_at FROM ledger.entries WHERE account_id = account AND seq = middle) <= moment THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
        middle := low + (high - low + 1) / 2;
    END LOOP;
    RETURN low;
END
$$;

CREATE FUNCTION ledger.last_seq_by(account uuid, index bigint) RETURNS bigint STABLE STRICT LANGUAGE plpgsql AS $$
DECLARE
    low bigint := 0;
    high bigint := (SELECT last_seq FROM ledger.accounts WHERE account_id = account);
    middle bigint := high;
BEGIN
    WHILE low < high LOOP
        IF (SELECT journal_index FROM ledger.entries WHERE account_id = account AND seq = middle) <= index THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
        middle := low + (high - low + 1) / 2;
    END LOOP;
    RETURN low;
END
$$;

-- How many records the journal had then. A block's records all have its time.
CREATE FUNCTION ledger.size_at(of_shard integer, moment timestamptz) RETURNS bigint STABLE STRICT LANGUAGE plpgsql AS $$
DECLARE
    low bigint := 0;
    high bigint := (SELECT size FROM ledger.heads WHERE shard = of_shard);
    middle bigint := high;
    block record;
BEGIN
    WHILE low < high LOOP
        SELECT size, previous_size, sealed_at INTO block
        FROM ledger.blocks WHERE shard = of_shard AND size >= middle ORDER BY size LIMIT 1;
        IF block.sealed_at <= moment THEN
            low := block.size;
        ELSE
            high := block.previous_size;
        END IF;
        middle := low + (high - low + 1) / 2;
    END LOOP;
    RETURN low;
END
$$;

CREATE FUNCTION ledger.balance_at(account uuid, moment timestamptz) RETURNS bigint STABLE STRICT LANGUAGE plpgsql AS $$
DECLARE
    last bigint := ledger.last_seq_at(account, moment);
BEGIN
    RETURN coalesce((SELECT balance_after_minor FROM ledger.entries WHERE account_id = account AND seq = last), 0);
END
$$;
"""

# An account's transfers are found by its entries. Those that were first held, refused or blocked have none, or have
# them later: they alone get rows here, made from their first record. A posted transfer pays for a look at its kind.
# Of a transfer that did not even begin only the payer's side is to learn.
_UNPOSTED = """
CREATE TABLE ledger.unposted_transfers (
    account_id uuid NOT NULL,
    journal_index bigint NOT NULL,
    transfer_id uuid NOT NULL,
    CONSTRAINT unposted_transfers_pkey PRIMARY KEY (account_id, journal_index)
);
CREATE TRIGGER unposted_transfers_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.unposted_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
GRANT SELECT, INSERT ON ledger.unposted_transfers TO tallystick_ledger;

CREATE FUNCTION ledger.accounts_shown(record jsonb) RETURNS SETOF uuid IMMUTABLE LANGUAGE sql
BEGIN ATOMIC
    SELECT (leg ->> 'source_account_id')::uuid FROM jsonb_array_elements($1 -> 'legs') AS leg
    UNION
    SELECT (leg ->> 'destination_account_id')::uuid FROM jsonb_array_elements($1 -> 'legs') AS leg
    WHERE $1 ->> 'kind' = 'transfer.held';
END;

CREATE FUNCTION ledger.keep_unposted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    said jsonb := convert_from(NEW.record, 'UTF8')::jsonb;
BEGIN
    IF (said ->> 'version')::integer = 1 THEN
        INSERT INTO ledger.unposted_transfers (account_id, journal_index, transfer_id)
        SELECT shown, NEW.journal_index, NEW.transfer_id FROM ledger.accounts_shown(said) AS shown;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER journal_unposted AFTER INSERT ON ledger.journal FOR EACH ROW
    WHEN (NEW.kind IN ('transfer.held', 'transfer.refused', 'transfer.blocked', 'transfer.voided'))
    EXECUTE FUNCTION ledger.keep_unposted();

INSERT INTO ledger.unposted_transfers (account_id, journal_index, transfer_id)
SELECT shown, t.journal_index, t.transfer_id
FROM ledger.transfers t JOIN ledger.journal j USING (shard, journal_index),
    ledger.accounts_shown(convert_from(j.record, 'UTF8')::jsonb) AS shown
WHERE t.status <> 'posted';

-- An owner never changes, so updates of balances stay on their page whatever this index costs at the opening.
CREATE INDEX accounts_of_owner ON ledger.accounts (owner_id) WHERE owner_id IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(_SEARCHES)
    op.execute(_UNPOSTED)


def downgrade() -> None:
    op.execute(
        """
        DROP INDEX ledger.accounts_of_owner;
        DROP TRIGGER journal_unposted ON ledger.journal;
        DROP TABLE ledger.unposted_transfers;
        DROP FUNCTION ledger.keep_unposted, ledger.accounts_shown, ledger.balance_at, ledger.size_at,
            ledger.last_seq_by, ledger.last_seq_at;
        """
    )
