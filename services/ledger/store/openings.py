"""Accounts entering and leaving the books."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from libs.common.contracts.accounts import AccountChanged
from libs.common.db.hot import HotConnection
from libs.common.messaging.outbox import Outbox, OutboxRow
from libs.common.messaging.outgoing_message import Outgoing

# An account that was closed before we heard of its opening stays closed.
_INSERT = """
INSERT INTO ledger.accounts (account_id, account_number, owner_id, asset, kind, status, opened_at)
SELECT v.account_id, v.account_number, v.owner_id, v.asset, 'customer', v.status, $6
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[])
    AS v (account_id, account_number, owner_id, asset, status)
ON CONFLICT ON CONSTRAINT accounts_pkey DO NOTHING
"""
_CLOSE = """
UPDATE ledger.accounts SET status = 'closed', version = version + 1
WHERE account_id = ANY($1::uuid[]) AND kind = 'customer' AND status <> 'closed'
"""
_READ = """
SELECT account_id::text, coalesce(owner_id::text, ''), asset, status, opened_at
FROM ledger.accounts WHERE account_id = ANY($1::uuid[])
"""


class KnownAccount(NamedTuple):
    """What the books say of an account's identity."""

    account_id: str
    owner_id: str
    asset: str
    status: str
    opened_at: datetime


async def write_openings(
    hot: HotConnection,
    outbox: Outbox,
    changes: Sequence[AccountChanged],
    now: datetime,
    say: Callable[[Mapping[str, KnownAccount]], list[Outgoing]],
) -> OutboxRow:
    """Open and close the accounts as they say, one change each, and store what is to be said about it.

    Commits: accounts and one outbox row, which is returned to be published. What `say` raises rolls all of it back.
    """
    closed = [change.account_id for change in changes if change.status == "closed"]
    async with hot.transaction() as connection:
        await connection.execute(
            _INSERT,
            [change.account_id for change in changes],
            [change.account_number for change in changes],
            [change.owner_id for change in changes],
            [change.asset for change in changes],
            ["closed" if change.status == "closed" else "active" for change in changes],
            now,
        )
        if closed:
            await connection.execute(_CLOSE, closed)
        rows = await connection.fetch(_READ, [change.account_id for change in changes])
        row = outbox.row(say({row[0]: KnownAccount(*row) for row in rows}))
        await outbox.insert(connection, row)
    return row
