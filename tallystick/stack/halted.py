"""Whether the ledger stands still, and which command lets it go on."""

from typing import Final

import asyncpg

from services.ledger.store.verifications import is_halted

_SHARD: Final = 0
STILL_HALTED: Final = (
    "the ledger is still halted and posts nothing: `tallystick release --list` shows its findings, "
    '`tallystick release FINDING --by ADMINISTRATOR --reason "…"` lets it go on'
)


async def stands_still(dsn: str) -> bool:
    """Tell whether the shard is halted. Raises: asyncpg.PostgresError, OSError."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await is_halted(connection, _SHARD)
    finally:
        await connection.close()
