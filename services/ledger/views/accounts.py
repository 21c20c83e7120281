"""What an account holds, and how it came to that."""

from typing import Final

import msgspec

from libs.common.clock import to_rfc3339
from libs.common.db.reading import Reading

_ACCOUNT: Final = """
SELECT account_id::text, account_number, asset, status, posted_minor,
       posted_minor - pending_out_minor - minimum_minor AS available_minor, pending_out_minor,
       pending_in_minor AS held_minor, version, owner_id::text
FROM ledger.accounts WHERE account_id = $1
"""
_ENTRIES: Final = """
SELECT seq, transfer_id::text, amount_minor, balance_after_minor, posted_at
FROM ledger.entries WHERE account_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3
"""


class AccountState(msgspec.Struct, frozen=True):
    """An account's numbers in minor units of its asset. `held_minor` is on its way in, waiting for a decision."""

    account_id: str
    account_number: str
    asset: str
    status: str
    posted_minor: int
    available_minor: int
    pending_out_minor: int
    held_minor: int
    version: int
    owner_id: str | None


class EntryState(msgspec.Struct, frozen=True):
    """One entry: negative amounts left the account."""

    seq: int
    transfer_id: str
    amount_minor: int
    balance_after_minor: int
    posted_at: str


class AccountView:
    """Looks accounts up."""

    def __init__(self, reading: Reading) -> None:
        """Take what it reads with."""
        self._reading = reading

    async def one(self, account_id: str) -> AccountState | None:
        """Return the account, if the books have it. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            row = await connection.fetchrow(_ACCOUNT, account_id)
        return None if row is None else AccountState(**row)

    async def entries(self, account_id: str, *, before_seq: int, limit: int) -> list[EntryState]:
        """Return a page of entries, newest first, all older than `before_seq`. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            rows = await connection.fetch(_ENTRIES, account_id, before_seq, limit)
        return [EntryState(row[0], row[1], row[2], row[3], to_rfc3339(row[4])) for row in rows]
