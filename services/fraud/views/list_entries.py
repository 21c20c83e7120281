"""Entries of lists as staff see them."""

from datetime import datetime

from libs.common.db.reading import Reading
from services.fraud.domain.list_entries import ListEntry
from services.fraud.domain.lists import ListName
from services.fraud.store.list_entries import list_entries


class ListEntriesView:
    """Reads entries. Raises: Unavailable."""

    def __init__(self, reading: Reading) -> None:
        """Use connections for reading, not the one that decides."""
        self._reading = reading

    async def page(
        self,
        *,
        below: int,
        name: ListName | None,
        value: str | None,
        standing: bool,
        now: datetime,
        limit: int,
        reader_id: str,
    ) -> list[ListEntry]:
        """Return a page, newest first, without what is about the reader himself."""
        async with self._reading.connection() as connection:
            return await list_entries(
                connection,
                below=below,
                name=name,
                value=value,
                standing=standing,
                now=now,
                limit=limit,
                reader_id=reader_id,
            )
