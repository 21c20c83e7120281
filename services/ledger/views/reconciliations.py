"""What reconciliations found, for those who ask."""

from typing import Any

from libs.common.db.reading import Reading
from services.ledger.store.reconciliations import Run, load_last_runs, load_run


class ReconciliationView:
    """Looks runs up."""

    def __init__(self, reading: Reading) -> None:
        """Read with this."""
        self._reading = reading

    async def last(self, limit: int) -> list[Run]:
        """Return the newest runs, newest first. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            return await load_last_runs(connection, limit)

    async def one(self, run_id: str) -> tuple[Run, dict[str, Any] | None] | None:
        """Return a run with its report, None when there is no such run. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            return await load_run(connection, run_id)
