"""`ledger.assets`, and the accounts of the house that each of them has."""

from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from services.ledger.domain.system_accounts import CHART, SystemAccount, system_accounts_of

_LOAD: Final = "SELECT code, exponent, added_at FROM ledger.assets ORDER BY added_at, code"
_ADD: Final = """
INSERT INTO ledger.assets (code, exponent, added_at) VALUES ($1, $2, $3)
ON CONFLICT ON CONSTRAINT assets_pkey DO NOTHING
"""
# The writer commits under these locks: entries and holds stay as they are while balances are summed up from them.
_LOCK: Final = "SELECT size FROM ledger.heads FOR UPDATE"
# A missing account comes back with what its entries and the open holds say. Its version may be one that the writer
# remembers: then it remembers the very same state, because nothing could be written to a row that was not there.
_RESTORE: Final = """
WITH wanted AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
        AS w (account_id, account_number, asset, type, code, minimum_minor)
), legs AS (
    SELECT part.leg, (part.leg ->> 'amount_minor')::bigint - s.captured_minor[part.position] AS minor
    FROM ledger.settlements s
    JOIN ledger.journal j ON j.shard = s.shard AND j.journal_index = s.legs_index
    CROSS JOIN LATERAL jsonb_array_elements(convert_from(j.record, 'UTF8')::jsonb -> 'legs')
        WITH ORDINALITY AS part (leg, position)
    WHERE s.is_open
)
INSERT INTO ledger.accounts AS a (account_id, account_number, asset, kind, status, type, code, minimum_minor,
    posted_minor, pending_out_minor, pending_in_minor, last_seq, version, opened_at)
SELECT w.account_id, w.account_number, w.asset, 'system', 'active', w.type, w.code, w.minimum_minor,
    coalesce(e.total, 0),
    coalesce((SELECT sum(minor) FROM legs WHERE (leg ->> 'source_account_id')::uuid = w.account_id), 0),
    coalesce((SELECT sum(minor) FROM legs WHERE (leg ->> 'destination_account_id')::uuid = w.account_id), 0),
    coalesce(e.newest, 0), coalesce(e.newest, 0) + 1, $7
FROM wanted w
LEFT JOIN LATERAL (SELECT sum(amount_minor)::bigint AS total, max(seq) AS newest FROM ledger.entries
                   WHERE account_id = w.account_id
                     AND NOT EXISTS (SELECT FROM ledger.accounts k WHERE k.account_id = w.account_id)) e ON true
ON CONFLICT ON CONSTRAINT accounts_pkey DO UPDATE SET status = 'active', type = EXCLUDED.type, code = EXCLUDED.code,
    minimum_minor = EXCLUDED.minimum_minor, version = a.version + 1
WHERE (a.status, a.type, a.code, a.minimum_minor)
    IS DISTINCT FROM ('active', EXCLUDED.type, EXCLUDED.code, EXCLUDED.minimum_minor)
RETURNING account_number || ' ' || asset
"""


class Asset(NamedTuple):
    """An asset and how many decimal digits its minor unit has."""

    code: str
    exponent: int
    added_at: datetime


async def load_assets(connection: asyncpg.Connection) -> list[Asset]:
    """Return all assets, oldest first."""
    return [Asset(*row) for row in await connection.fetch(_LOAD)]


async def insert_asset(connection: asyncpg.Connection, code: str, exponent: int, now: datetime) -> bool:
    """Store an asset; False when it is there already."""
    tag: str = await connection.execute(_ADD, code, exponent, now)
    return tag == "INSERT 0 1"


async def restore_accounts_of_the_house(connection: asyncpg.Connection, now: datetime) -> list[str]:
    """Bring every asset's accounts of the house (back), inside a transaction; return those that were not as they must.

    Locks: the shards' heads, so the writer waits.
    """
    await connection.execute(_LOCK)
    wanted = [account for asset in await load_assets(connection) for account in system_accounts_of(asset.code)]
    rows = await connection.fetch(_RESTORE, *_columns(wanted), now)
    return [row[0] for row in rows]


def _columns(accounts: list[SystemAccount]) -> tuple[list[object], ...]:
    return (
        [account.account_id for account in accounts],
        [account.account_number for account in accounts],
        [account.asset for account in accounts],
        [CHART[account.account_number][0] for account in accounts],
        [CHART[account.account_number][1] for account in accounts],
        [account.minimum_minor for account in accounts],
    )
