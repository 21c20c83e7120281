"""`gateway.batch_volumes`: how much each principal has sent in files since the first one of his day."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

LINES_MAX: Final = 1_000_000
BYTES_MAX: Final = 256 * 1024 * 1024
"""The table's constraints say the same."""
DAY: Final = timedelta(days=1)

_FIND: Final = """
SELECT since, lines, bytes FROM gateway.batch_volumes WHERE principal_id = $1::uuid AND since > $2
"""
# The row is locked by whoever adds to it: two files at once, at two processes, do not both get the last room.
_ADD: Final = """
INSERT INTO gateway.batch_volumes AS v (principal_id, since, lines, bytes) VALUES ($1::uuid, $2, $3, $4)
ON CONFLICT ON CONSTRAINT batch_volumes_pkey DO UPDATE SET
    since = CASE WHEN v.since > $5 THEN v.since ELSE excluded.since END,
    lines = CASE WHEN v.since > $5 THEN v.lines ELSE 0 END + excluded.lines,
    bytes = CASE WHEN v.since > $5 THEN v.bytes ELSE 0 END + excluded.bytes
WHERE v.since <= $5 OR (v.lines + excluded.lines <= $6 AND v.bytes + excluded.bytes <= $7)
RETURNING true
"""


class Volume(NamedTuple):
    """What was sent since the first file of a day."""

    since: datetime
    lines: int
    size: int

    def has_room(self, lines: int, size: int) -> bool:
        """Tell whether so many lines and bytes more may be sent within the day."""
        return self.lines + lines <= LINES_MAX and self.size + size <= BYTES_MAX


async def find_volume(connection: asyncpg.Connection, principal_id: str, now: datetime) -> Volume:
    """Return what he has sent in the day that is under way; one begins now if none is."""
    row = await connection.fetchrow(_FIND, principal_id, now - DAY)
    return Volume(now, 0, 0) if row is None else Volume(*row)


async def add_volume(connection: asyncpg.Connection, principal_id: str, lines: int, size: int, now: datetime) -> bool:
    """Count so many lines and bytes; False: they are too many, and nothing is counted."""
    added = await connection.fetchval(_ADD, principal_id, now, lines, size, now - DAY, LINES_MAX, BYTES_MAX)
    return added is not None
