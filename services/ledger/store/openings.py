"""Accounts entering the books."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from libs.common.contracts.accounts import AccountChanged
from libs.common.db.hot import HotConnection
from libs.common.messaging.outbox import Outbox, OutboxRow
from libs.common.messaging.outgoing_message import Outgoing

_INSERT = """
INSERT INTO ledger.accounts (account_id, account_number, owner_id, asset, kind, status, opened_at)
SELECT v.account_id, v.account_number, v.owner_id, v.asset, 'customer', 'active', $5
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[]) AS v (account_id, account_number, owner_id, asset)
ON CONFLICT ON CONSTRAINT accounts_pkey DO NOTHING
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
    """Open those of the accounts that are not there yet, and store what is to be said about it.

    Commits: accounts and one outbox row, which is returned to be published. What `say` raises rolls all of it back.
    """
    async with hot.transaction() as connection:
        await connection.execute(
            _INSERT,
            [change.account_id for change in changes],
            [change.account_number for change in changes],
            [change.owner_id for change in changes],
            [change.asset for change in changes],
            now,
        )
        rows = await connection.fetch(_READ, [change.account_id for change in changes])
        row = outbox.row(say({row[0]: KnownAccount(*row) for row in rows}))
        await outbox.insert(connection, row)
    return row
