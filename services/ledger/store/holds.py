"""Callers' holds that have come to their end."""

from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from libs.common.clock import to_rfc3339

_DUE: Final = """
SELECT transfer_id::text, expires_at FROM ledger.settlements
WHERE is_open AND expires_at IS NOT NULL AND expires_at <= $1
ORDER BY expires_at LIMIT $2
"""


class DueHold(NamedTuple):
    """A hold and when it was to end, RFC 3339 UTC."""

    transfer_id: str
    expires_at: str


async def load_due_holds(connection: asyncpg.Connection, now: datetime, limit: int) -> list[DueHold]:
    """Return open holds whose time is up, the oldest first."""
    return [DueHold(row[0], to_rfc3339(row[1])) for row in await connection.fetch(_DUE, now, limit)]
