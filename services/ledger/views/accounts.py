"""What an account holds, and how it came to that."""

from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from libs.common.clock import to_rfc3339
from libs.common.db.reading import Reading

_ACCOUNT: Final = """
SELECT account_id::text, account_number, asset, status, posted_minor,
       posted_minor - pending_out_minor - minimum_minor AS available_minor, pending_out_minor,
       pending_in_minor AS held_minor, version, last_seq, owner_id::text, minimum_minor, maximum_minor
FROM ledger.accounts WHERE account_id = $1
"""
_UNSETTLED: Final = """
SELECT account_id::text FROM ledger.accounts
WHERE owner_id = $1 AND (posted_minor <> 0 OR pending_in_minor <> 0 OR pending_out_minor <> 0) LIMIT 1
"""
_ENTRIES: Final = """
SELECT seq, transfer_id::text, amount_minor, balance_after_minor, posted_at, journal_index
FROM ledger.entries WHERE account_id = $1 AND seq > $2 AND seq < $3 ORDER BY seq
"""
_OLDER: Final = _ENTRIES + "DESC LIMIT $4"
_NEWER: Final = _ENTRIES + "LIMIT $4"
_LAST_ENTRY: Final = """
WITH last AS MATERIALIZED (SELECT {search} AS seq)
SELECT last.seq, coalesce(e.balance_after_minor, 0), e.posted_at, e.journal_index
FROM last LEFT JOIN ledger.entries e ON e.account_id = $1 AND e.seq = last.seq
"""
_AT: Final = _LAST_ENTRY.format(search="ledger.last_seq_at($1, $2)")
_BY: Final = _LAST_ENTRY.format(search="ledger.last_seq_by($1, $2)")
_NOW: Final = _LAST_ENTRY.format(search="(SELECT last_seq FROM ledger.accounts WHERE account_id = $1)")
_JOURNAL_SIZE: Final = "SELECT size FROM ledger.heads WHERE shard = $1"


class AccountState(msgspec.Struct, frozen=True):
    """An account's numbers in minor units of its asset. `held_minor` is on its way in, waiting for a decision.

    It may hold `minimum_minor` at least (below zero: an overdraft) and `maximum_minor` at most.
    """

    account_id: str
    account_number: str
    asset: str
    status: str
    posted_minor: int
    available_minor: int
    pending_out_minor: int
    held_minor: int
    version: int
    last_seq: int
    owner_id: str | None
    minimum_minor: int
    maximum_minor: int


class EntryState(msgspec.Struct, frozen=True):
    """One entry: negative amounts left the account. `journal_index` names the record that made it."""

    seq: int
    transfer_id: str
    amount_minor: int
    balance_after_minor: int
    posted_at: str
    journal_index: int


class Balance(NamedTuple):
    """What an account had posted, and the entry that made it so: seq 0 and no time before the first."""

    seq: int
    posted_minor: int
    posted_at: str | None
    journal_index: int | None


class AccountView:
    """Looks accounts up."""

    def __init__(self, reading: Reading, shard: int) -> None:
        """Take what it reads with, and whose journal counts."""
        self._reading = reading
        self._shard = shard

    async def one(self, account_id: str) -> AccountState | None:
        """Return the account, if the books have it. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            row = await connection.fetchrow(_ACCOUNT, account_id)
        return None if row is None else AccountState(**row)

    async def unsettled_of(self, owner_id: str) -> str | None:
        """Return one of the owner's accounts with money or something pending, if there is one. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            account_id: str | None = await connection.fetchval(_UNSETTLED, owner_id)
        return account_id

    async def entries(
        self, account_id: str, *, after_seq: int, before_seq: int, limit: int, oldest_first: bool
    ) -> list[EntryState]:
        """Return up to `limit` entries between two seqs, themselves left out. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            rows = await connection.fetch(_NEWER if oldest_first else _OLDER, account_id, after_seq, before_seq, limit)
        return [EntryState(row[0], row[1], row[2], row[3], to_rfc3339(row[4]), row[5]) for row in rows]

    async def balance(self, account_id: str) -> Balance:
        """Return the balance of now. Raises: Unavailable."""
        return await self._last_entry(_NOW, account_id)

    async def balance_at(self, account_id: str, moment: datetime) -> Balance:
        """Return the balance after the last entry posted at this moment or before. Raises: Unavailable."""
        return await self._last_entry(_AT, account_id, moment)

    async def balance_by(self, account_id: str, journal_index: int) -> Balance:
        """Return the balance after the last entry made by this record or one before. Raises: Unavailable."""
        return await self._last_entry(_BY, account_id, journal_index)

    async def journal_size(self) -> int:
        """Return how many records the journal has. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            size: int = await connection.fetchval(_JOURNAL_SIZE, self._shard)
        return size

    async def _last_entry(self, statement: str, *arguments: object) -> Balance:
        async with self._reading.connection() as connection:
            seq, posted_minor, posted_at, journal_index = await connection.fetchrow(statement, *arguments)
        return Balance(seq, posted_minor, None if posted_at is None else to_rfc3339(posted_at), journal_index)
