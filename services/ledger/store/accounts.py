"""Rows of `ledger.accounts` in, account states out."""

from collections.abc import Sequence

import asyncpg

from services.ledger.domain.account import Account

_LOAD = """
SELECT account_id::text, coalesce(owner_id::text, ''), asset, status, posted_minor, pending_in_minor,
       pending_out_minor, minimum_minor, last_seq, version, maximum_minor
FROM ledger.accounts WHERE account_id = ANY($1::uuid[])
"""


async def load_accounts(connection: asyncpg.Connection, account_ids: Sequence[str]) -> dict[str, Account]:
    """Return those of the accounts that exist, by id."""
    rows = await connection.fetch(_LOAD, account_ids)
    return {row[0]: Account(*row) for row in rows}
