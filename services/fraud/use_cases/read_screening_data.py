"""Rules and lists in force, in memory. Whoever decides by an older version than the database's is refused the write."""

from collections.abc import Callable
from typing import Final

import asyncpg

from libs.common.clock import monotonic_seconds
from libs.common.origins import OriginKeys
from services.fraud.store.screening_data import (
    ScreeningData,
    load_screening_data,
    lock_screening_version,
    read_screening_version,
)

FRESH_SECONDS: Final = 5.0


class ScreeningInForce:
    """The rules and lists; looked after every five seconds, and at once after a write was refused."""

    def __init__(self, origins: OriginKeys, *, monotonic: Callable[[], float] = monotonic_seconds) -> None:
        """Take what turns addresses and devices of entries into what transfers show."""
        self._origins = origins
        self._monotonic = monotonic
        self._data: ScreeningData | None = None
        self._looked_at = 0.0

    async def read(self, connection: asyncpg.Connection) -> ScreeningData:
        """Return what stands. Raises whatever the database raises: without rules and lists nothing is decided."""
        now = self._monotonic()
        if self._data is None or now - self._looked_at > FRESH_SECONDS:
            if self._data is None or await read_screening_version(connection) != self._data.version:
                self._data = await load_screening_data(connection, self._origins, self._data)
            self._looked_at = now
        return self._data

    async def keep_still(self, connection: asyncpg.Connection) -> ScreeningData:
        """Return what stands, and stands until the caller's transaction has ended: for what is written without a check.

        Locks: changes of rules and lists, which wait. Raises: as `read`.
        """
        version = await lock_screening_version(connection)
        if self._data is None or version != self._data.version:
            self._data = await load_screening_data(connection, self._origins, self._data)
        self._looked_at = self._monotonic()
        return self._data

    def look_again(self) -> None:
        """Look at the version before anything else is decided."""
        self._looked_at = float("-inf")
