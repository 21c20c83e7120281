"""Fee schedules as they were published."""

from datetime import datetime
from typing import Final, NamedTuple

from libs.common.db.reading import Reading

_ONE: Final = """
SELECT version, rules, sha256, journal_index, published_at FROM ledger.fee_schedules
WHERE $1::integer IS NULL OR version = $1 ORDER BY version DESC LIMIT 1
"""


class PublishedSchedule(NamedTuple):
    """A schedule; `rules` is the canonical text that its journal record has the SHA-256 of."""

    version: int
    rules: bytes
    sha256: bytes
    journal_index: int
    published_at: datetime


class FeeScheduleView:
    """Looks schedules up."""

    def __init__(self, reading: Reading) -> None:
        """Take what it reads with."""
        self._reading = reading

    async def one(self, version: int | None) -> PublishedSchedule | None:
        """Return this version, or the newest for None. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            row = await connection.fetchrow(_ONE, version)
        return None if row is None else PublishedSchedule(*row)
