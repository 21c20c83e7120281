"""Accounts is asked whom it erased: a broker may forget to tell, and this must not be missed."""

from datetime import UTC, datetime, timedelta
from typing import Final

from libs.common.clock import from_rfc3339
from services.kyc.sisters import Accounts
from services.kyc.use_cases.forget_applicants import ForgetApplicants

_OVERLAP: Final = timedelta(hours=1)
"""Two transactions may commit in another order than they read the clock."""
_LOWEST_ID: Final = "00000000-0000-0000-0000-000000000000"
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)


class FetchErasures:
    """Forgets whoever accounts has erased: after a start everybody, then those since the last look."""

    def __init__(self, accounts: Accounts, forget_applicants: ForgetApplicants) -> None:
        """Take whom it asks, and what forgets."""
        self._accounts = accounts
        self._forget_applicants = forget_applicants
        self._seen_until = _EARLIEST + _OVERLAP

    async def __call__(self) -> None:
        """Ask page after page until there is none. Idempotent by: the customer. Raises: Unavailable."""
        since, after = self._seen_until - _OVERLAP, _LOWEST_ID
        while page := await self._accounts.erased(since, after):
            await self._forget_applicants([one.user_id for one in page])
            since, after = from_rfc3339(page[-1].erased_at), page[-1].user_id
            self._seen_until = max(self._seen_until, since)
