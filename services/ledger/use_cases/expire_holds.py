"""End callers' holds whose time is up, by the ledger's clock, also those that ran out while nobody was looking."""

from typing import Final

from libs.common.clock import from_rfc3339, to_rfc3339
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from services.ledger.domain.commands import ExpireHold
from services.ledger.store.holds import load_due_holds
from services.ledger.use_cases.post_transfers import PostTransfers
from services.ledger.use_cases.watch_clock import WatchClock

_PAGE: Final = 500


class ExpireHolds:
    """Asks for holds that are due and hands each to the writer as a command; the engine looks at the time again.

    Idempotent by: transfer_id; a hold that has ended meanwhile stays as it is. Raises: Unavailable.
    """

    def __init__(self, hot: HotConnection, post_transfers: PostTransfers, clock: WatchClock) -> None:
        """Use a connection that the writer does not wait for."""
        self._hot = hot
        self._post_transfers = post_transfers
        self._clock = clock

    async def __call__(self) -> None:
        """End all that are due now, a page at a time."""
        try:
            now = to_rfc3339(self._clock.now())
        except Unavailable:
            return  # a clock that jumped ends nothing; readiness says so
        while True:
            async with self._hot.autocommit() as connection:
                due = await load_due_holds(connection, from_rfc3339(now), _PAGE)
            if due:
                await self._post_transfers([ExpireHold(hold.transfer_id, hold.expires_at) for hold in due])
            if len(due) < _PAGE:
                return
