"""Pages that PostgreSQL makes ahead while the one before is checked."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from services.ledger.store.audit import Columns, ahead

ALL_INDEXES: Final = 2**62
"""No journal gets there."""


class Pages:
    """The page asked for, or nothing if no row lies there."""

    def __init__(self, pages: AsyncIterator[tuple[int, Columns]], width: int) -> None:
        """Take the pages in their order, and how many columns they have."""
        self._pages = pages
        self._empty: Columns = tuple([] for _ in range(width))
        self._task: asyncio.Task[tuple[int, Columns] | None] | None = None

    async def page(self, number: int) -> tuple[Columns, list[Columns]]:
        """Return the page's columns, and those of pages before it that nobody asked for."""
        strays: list[Columns] = []
        while True:
            if self._task is None:
                self._task = await ahead(self._pages)
            row = await self._task
            if row is None or row[0] > number:
                return self._empty, strays
            self._task = await ahead(self._pages)
            if row[0] == number:
                return row[1], strays
            strays.append(row[1])

    async def rest(self) -> list[Columns]:
        """Return all pages that are left."""
        _, strays = await self.page(ALL_INDEXES)
        return strays

    async def stop(self) -> None:
        """Ask for no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
