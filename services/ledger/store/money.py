"""The money of one batch: accounts, entries and the state of transfers, all of it under the shard's locked head.

A large batch writes it first, by `write_money`; the statement that seals a small one has it inside.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg
import msgspec

from services.ledger.domain.transfer import Transfer
from services.ledger.store.batch import Batch, Columns, HeadMoved

TRANSFER_KNOWN: Final = "transfers_pkey"
"""The constraint that a new transfer breaks when it was decided before."""

# Every row that is written comes from a join with the head, and the head gives its row only once it is locked: of two
# writers the second waits there, finds that the size is another, and writes nothing. It waits with the snapshot it
# began with, in which accounts may be old; an UPDATE reads the newest version of a row again before it changes it.
MONEY: Final = """
WITH head AS MATERIALIZED (
    SELECT shard FROM ledger.heads WHERE shard = $1 AND size = $2 AND NOT halted FOR UPDATE
), changed AS (
    UPDATE ledger.accounts a
    SET posted_minor = v.posted_minor, pending_in_minor = v.pending_in_minor, pending_out_minor = v.pending_out_minor,
        last_seq = v.last_seq, version = v.version
    FROM head, unnest($4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
        AS v (account_id, expected, version, posted_minor, pending_in_minor, pending_out_minor, last_seq)
    WHERE a.account_id = v.account_id AND a.version = v.expected
    RETURNING true
), decided AS (
    INSERT INTO ledger.transfers
        (transfer_id, kind, status, version, code, reasons, facts, journal_index, attempts, shard, changed_at)
    SELECT v.transfer_id, v.kind, v.status, v.version, v.code, string_to_array(v.reasons, ','), v.facts::jsonb,
           v.journal_index, v.attempts, head.shard, $3
    FROM head, unnest($11::uuid[], $12::text[], $13::text[], $14::integer[], $15::text[], $16::text[], $17::text[],
                      $18::bigint[], $19::smallint[])
        AS v (transfer_id, kind, status, version, code, reasons, facts, journal_index, attempts)
), entered AS (
    INSERT INTO ledger.entries
        (account_id, seq, transfer_id, journal_index, amount_minor, balance_after_minor, posted_at)
    SELECT v.account_id, v.seq, v.transfer_id, v.journal_index, v.amount_minor, v.balance_after_minor, $3
    FROM head, unnest($20::uuid[], $21::bigint[], $22::uuid[], $23::bigint[], $24::bigint[], $25::bigint[])
        AS v (account_id, seq, transfer_id, journal_index, amount_minor, balance_after_minor)
)"""
"""What both statements of a batch begin with. Arguments: shard, the size decided on, the time, and 22 columns."""
NO_MONEY: Final[Columns] = ([],) * 22
_LOCK: Final = "SELECT shard FROM ledger.heads WHERE shard = $1 AND size = $2 AND NOT halted FOR UPDATE"
_MONEY_ALONE: Final = MONEY + "SELECT (SELECT count(*) FROM head), (SELECT count(*) FROM changed)"  # noqa: S608 -- made of statements written here
_NO_ENTRIES: Final[Columns] = ([],) * 6
_NO_ROWS: Final[Columns] = ([],) * 15
_encode = msgspec.json.Encoder().encode


async def lock_head(connection: asyncpg.Connection, batch: Batch) -> None:
    """Lock the head before anything of the batch is written. Raises: HeadMoved when it is not what it is decided on."""
    if await connection.fetchval(_LOCK, batch.shard, batch.before.size) is None:
        raise HeadMoved


async def write_money(connection: asyncpg.Connection, batch: Batch) -> None:
    """Lock the head, then write what the batch decided about money; the head stays locked until the transaction ends.

    Of a batch that is copied, the accounts alone. Raises: HeadMoved when head or account is not what the batch was
    decided on; the transaction must roll back.
    """
    columns = (*_account_columns(batch), *_NO_ROWS) if batch.is_copied else money_columns(batch)
    found, changed = await connection.fetchrow(
        _MONEY_ALONE, batch.shard, batch.before.size, batch.recorded_at, *columns
    )
    if not found or changed != len(batch.decisions.books.changed):
        raise HeadMoved


def money_columns(batch: Batch) -> Columns:
    """Return what `MONEY` takes of the batch."""
    return (
        *_account_columns(batch),
        *transfer_columns(list(batch.decisions.inserted.values())),
        *_entry_columns(batch),
    )


def _account_columns(batch: Batch) -> Columns:
    changed = batch.decisions.books.changed
    accounts = changed.values()
    return (
        list(changed),
        batch.versions,
        [account.version for account in accounts],
        [account.posted_minor for account in accounts],
        [account.pending_in_minor for account in accounts],
        [account.pending_out_minor for account in accounts],
        [account.last_seq for account in accounts],
    )


def transfer_columns(transfers: Sequence[Transfer]) -> Columns:
    """Return the states of transfers, a column each."""
    return (
        [transfer.transfer_id for transfer in transfers],
        [transfer.kind for transfer in transfers],
        [transfer.status for transfer in transfers],
        [transfer.version for transfer in transfers],
        [transfer.code for transfer in transfers],
        [",".join(transfer.reasons) for transfer in transfers],
        [encode_facts(transfer.facts) for transfer in transfers],
        [transfer.journal_index for transfer in transfers],
        [transfer.attempts for transfer in transfers],
    )


def encode_facts(facts: Mapping[str, int | str]) -> str | None:
    """Return a refusal's public numbers as JSON; None when it has none."""
    return _encode(facts).decode() if facts else None


def _entry_columns(batch: Batch) -> Columns:
    """Return the batch's entries, a column each: account, number, transfer, record, amount, balance after it."""
    return tuple(zip(*batch.decisions.books.entries, strict=True)) or _NO_ENTRIES
