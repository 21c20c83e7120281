"""End holds whose payees' KYC is settled: on they go, or back goes the slot."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.fraud.domain.holds import KYC_PENDING, PAYEE_REJECTED_CODE, Standing, settle_kyc
from services.fraud.store.holds import OpenHold
from services.fraud.store.unit_of_work import Transaction
from services.fraud.store.users import load_standings
from services.fraud.use_cases.end_holds import EndHolds, Ending, Resolved, rejected, released

_UNHEARD_OF: Final = Standing(status="none", tier=0)


class ResolveHolds:
    """Settles the KYC of locked holds inside the caller's transaction.

    Idempotent by: the hold's reasons, which the caller has locked. Locks: as EndHolds.
    Emits: HoldResolved. Raises: Unavailable.
    """

    def __init__(self, end_holds: EndHolds) -> None:
        """End them by this."""
        self._end_holds = end_holds

    async def __call__(
        self, transaction: Transaction, holds: Sequence[OpenHold], now: datetime, resolved: Resolved
    ) -> None:
        """Settle those whose payees' KYC is known by now; leave the others waiting. Fills `resolved`."""
        waiting = [hold for hold in holds if KYC_PENDING in hold.reasons]
        payees = {user_id for hold in waiting for user_id in hold.payees}
        standings = await load_standings(transaction.connection, payees)
        endings: list[Ending] = []
        for hold in waiting:
            outcome = settle_kyc([standings.get(payee, _UNHEARD_OF) for payee in hold.payees])
            if outcome == "release":
                endings.append(released(hold, KYC_PENDING))
            elif outcome == "reject":
                endings.append(rejected(hold, KYC_PENDING, PAYEE_REJECTED_CODE))
        await self._end_holds(transaction, endings, now, resolved)
