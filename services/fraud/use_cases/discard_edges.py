"""Discard payments that nobody looks back upon any more; what proves an alert is kept with the alert."""

from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from services.fraud.store.aml_edges import prune_edges
from services.fraud.store.aml_watch import Watch
from services.fraud.use_cases.watch_postings import LOOKED_BACK

DISCARD_SECONDS: Final = 60.0
KEPT: Final = 2 * LOOKED_BACK + timedelta(days=1)
"""What comes a week late is still judged by the week before it."""
PAGE: Final = 5_000
_PAGES_MAX: Final = 100


class DiscardEdges:
    """Deletes in small transactions, some of them a call. Raises: Unavailable."""

    def __init__(self, watch: Watch, *, clock: Clock) -> None:
        """Use this connection."""
        self._watch = watch
        self._clock = clock

    async def __call__(self) -> None:
        """Delete what was heard of longer ago than `KEPT`."""
        heard_before = self._clock() - KEPT
        for _ in range(_PAGES_MAX):
            async with self._watch.open() as connection:
                if await prune_edges(connection, heard_before=heard_before, limit=PAGE) < PAGE:
                    return
