"""Accounts is asked whom it erased: a broker may forget to tell, and this must not be missed."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from libs.common.clock import from_rfc3339
from libs.common.ids import LOWEST_ID
from libs.common.personal.erased_at_accounts import ErasedAtAccounts

Forget = Callable[[Sequence[str]], Awaitable[None]]
"""Destroys what a service knows of these customers. Idempotent by: user_id. Raises: Unavailable."""

FETCH_SECONDS: Final = 60.0
"""How often it is asked."""
_OVERLAP: Final = timedelta(hours=1)
"""Two transactions may commit in another order than they read the clock."""
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)


class FetchErasures:
    """Forgets whoever accounts has erased: after a start everybody, then those since the last look."""

    def __init__(self, erased: ErasedAtAccounts, forget: Forget) -> None:
        """Take whom it asks, and what forgets."""
        self._erased = erased
        self._forget = forget
        self._seen_until = _EARLIEST + _OVERLAP

    async def __call__(self) -> None:
        """Ask page after page until there is none. Idempotent by: the customer. Raises: Unavailable."""
        since, after = self._seen_until - _OVERLAP, LOWEST_ID
        while page := await self._erased.page(since, after):
            await self._forget([one.user_id for one in page])
            since, after = from_rfc3339(page[-1].erased_at), page[-1].user_id
            self._seen_until = max(self._seen_until, since)
