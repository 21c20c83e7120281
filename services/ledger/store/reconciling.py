"""What a reconciliation reads: promises over one snapshot, and the ledger's half of what is compared with others."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import asyncpg

from libs.common.digests.digest_table import Connect
from services.ledger.domain.reconciliation import AssetBalance, Difference, Outcome, Standing, written
from services.ledger.store.assets import load_assets
from services.ledger.store.promises import COUNTED
from services.ledger.store.promises.promise import Promise, bound
from services.ledger.store.standing import load_standing

_FOUND_MAX: Final = 1_000
"""Most differences that one promise lists: nobody reads more, and a report must stay readable."""
_SAMPLED_RECORDS: Final = 2_000
_SAMPLED_ACCOUNTS_MAX: Final = 500
_PATIENCE: Final = "30min"
_PATIENCE_SECONDS: Final = 1_800

_BALANCES: Final = """
SELECT asset, type, count(*), sum(posted_minor), sum(pending_in_minor), sum(pending_out_minor)
FROM ledger.accounts GROUP BY asset, type ORDER BY asset, type
"""
_AMOUNT: Final = re.compile(r"\{(-?\d+) ([^{}]*)\}")
"""How a promise's text names an amount: minor units and the asset."""
_ALONE: Final = "SELECT pg_try_advisory_lock(hashtext('ledger.reconciliations'))"
_SIZE: Final = "SELECT coalesce(sum(size), 0)::bigint FROM ledger.heads"
# Customers' accounts only: the reserve has as many entries as there are deposits.
_SAMPLE: Final = """
WITH newest AS (
    SELECT j.record FROM ledger.heads h JOIN ledger.journal j USING (shard)
    WHERE j.journal_index >= h.size - $1 AND j.kind LIKE 'transfer.%'
), named AS (
    SELECT DISTINCT side.account_id::uuid AS account_id
    FROM newest CROSS JOIN LATERAL jsonb_array_elements(convert_from(record, 'UTF8')::jsonb -> 'legs') AS l (leg),
        LATERAL (VALUES (leg ->> 'source_account_id'), (leg ->> 'destination_account_id')) AS side (account_id)
)
SELECT account_id::text FROM ledger.accounts JOIN named USING (account_id) WHERE kind = 'customer'
ORDER BY account_id LIMIT $2
"""
TRANSFERS_SAID: Final = """
SELECT transfer_id AS id, concat_ws('|', status, version, code, journal_index) AS said FROM ledger.transfers
"""
"""What the gateway should show of each transfer."""
TRANSFERS_ASKED: Final = "SELECT transfer_id AS id, ''::text AS said FROM ledger.transfers WHERE kind <> 'reversal'"
"""What somebody must have asked the gateway for; a reversal is asked for as a command."""
COMMANDS_SAID: Final = (
    "SELECT command_id AS id, concat_ws('|', status, code, journal_index) AS said FROM ledger.commands"
)
"""What the gateway should answer for each capture, void and change."""
ACCOUNTS_SAID: Final = """
SELECT account_id AS id, concat_ws('|', owner_id, asset, account_number, status) AS said
FROM ledger.accounts WHERE kind = 'customer'
"""
"""What accounts should show of each account."""
_SETTLED_TRANSFERS: Final = """
SELECT transfer_id::text FROM ledger.transfers WHERE transfer_id = ANY($1::uuid[])
    AND changed_at >= now() - make_interval(secs => $2::double precision)
"""
_SETTLED_ACCOUNTS: Final = """
SELECT account_id::text FROM ledger.accounts WHERE account_id = ANY($1::uuid[])
    AND opened_at >= now() - make_interval(secs => $2::double precision)
"""
_SETTLED_COMMANDS: Final = """
SELECT command_id::text FROM ledger.commands WHERE command_id = ANY($1::uuid[])
    AND decided_at >= now() - make_interval(secs => $2::double precision)
"""
_CHANGED_ACCOUNTS: Final = """
SELECT convert_from(record, 'UTF8')::jsonb ->> 'account_id' FROM ledger.journal
WHERE kind = 'account.changed' AND (convert_from(record, 'UTF8')::jsonb ->> 'account_id')::uuid = ANY($1::uuid[])
    AND (convert_from(record, 'UTF8')::jsonb ->> 'time')::timestamptz
        >= now() - make_interval(secs => $2::double precision)
"""

_SETTLED: Final = {
    "requests": (_SETTLED_TRANSFERS,),
    "outcomes": (_SETTLED_TRANSFERS,),
    "commands": (_SETTLED_COMMANDS,),
    "accounts": (_SETTLED_ACCOUNTS, _CHANGED_ACCOUNTS),
}


class Looking:
    """Connections for looking: a few, patient ones, apart from those that money waits for."""

    def __init__(self, dsn: str) -> None:
        """Take the DSN of a role that may read the ledger's tables."""
        self._dsn = dsn

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a new connection that reads only."""
        connection = await self._open()
        try:
            yield connection
        finally:
            await connection.close()

    async def alone(self) -> asyncpg.Connection | None:
        """Return a connection whose owner alone reconciles until he closes it; None while another one does.

        The lock ends with the connection, so a process that dies leaves nothing behind.
        """
        connection = await self._open()
        if await connection.fetchval(_ALONE):
            return connection
        await connection.close()
        return None

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["Snapshot"]:
        """Lend one snapshot of the books: everything read in it was true at the same moment."""
        async with self.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield Snapshot(connection)

    async def _open(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            self._dsn,
            timeout=10,
            command_timeout=_PATIENCE_SECONDS,
            server_settings={
                "application_name": "ledger-reconciliation",
                "default_transaction_read_only": "on",
                "statement_timeout": _PATIENCE,
                "jit": "off",
            },
        )

    @property
    def connect(self) -> Connect:
        """Lend connections to the ledger's own digests."""
        return self.connection

    async def lately_changed(self, table: str, ids: Sequence[str], grace_seconds: float) -> set[str]:
        """Return those of a digest's ids whose rows here changed within the grace, until this moment."""
        async with self.connection() as connection:
            return {row[0] for sql in _SETTLED[table] for row in await connection.fetch(sql, ids, grace_seconds)}


class Snapshot:
    """The books at one moment."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Read over a connection inside its transaction."""
        self._connection = connection
        self._counted: dict[tuple[str, bool], int] = {}

    async def exponents(self) -> dict[str, int]:
        """Return code → decimal digits of the assets that the books keep."""
        return {asset.code: asset.exponent for asset in await load_assets(self._connection)}

    async def standing(self) -> Standing:
        """Return what the tables hold of their own proof."""
        return await load_standing(self._connection)

    async def taken_at(self) -> datetime:
        """Return the moment."""
        moment: datetime = await self._connection.fetchval("SELECT now()")
        return moment

    async def size(self) -> int:
        """Return how many records the journal has."""
        size: int = await self._connection.fetchval(_SIZE)
        return size

    async def balances(self) -> list[AssetBalance]:
        """Return the trial balance by asset and type of account."""
        rows = await self._connection.fetch(_BALANCES)
        return [AssetBalance(row[0], row[1], row[2], *(int(minor) for minor in tuple(row)[3:])) for row in rows]

    async def sample(self) -> list[str]:
        """Return customers' accounts that the newest records moved."""
        rows = await self._connection.fetch(_SAMPLE, _SAMPLED_RECORDS, _SAMPLED_ACCOUNTS_MAX)
        return [row[0] for row in rows]

    async def knows(self, account_id: str) -> bool:
        """Tell whether the books have this account."""
        found = await self._connection.fetchval("SELECT true FROM ledger.accounts WHERE account_id = $1", account_id)
        return bool(found)

    async def look(
        self, promise: Promise, accounts: list[str] | None, grace_seconds: float, exponents: Mapping[str, int]
    ) -> Outcome:
        """Return what breaks the promise; amounts are written with the decimals that the books keep."""
        sql, arguments = promise.bound(accounts, grace_seconds)
        rows = await self._connection.fetch(f"SELECT * FROM ({sql}) AS found LIMIT {_FOUND_MAX + 1}", *arguments)  # noqa: S608 -- of texts written in the code
        return Outcome(
            promise.name,
            promise.promise,
            differences=[Difference(row[0] or "?", _with_amounts(row[1], exponents)) for row in rows[:_FOUND_MAX]],
            is_cut=len(rows) > _FOUND_MAX,
            compared=await self._count(promise.things, accounts if promise.per_account else None),
            things=promise.things,
        )

    async def _count(self, things: str, accounts: list[str] | None) -> int:
        """Return how many there are; several promises look at the same."""
        key = (things, accounts is None)
        if key not in self._counted:
            sql, arguments = bound(COUNTED[things], accounts)
            self._counted[key] = await self._connection.fetchval(sql, *arguments)
        return self._counted[key]


def _with_amounts(text: str, exponents: Mapping[str, int]) -> str:
    return _AMOUNT.sub(lambda amount: written(int(amount[1]), amount[2], exponents), text)
