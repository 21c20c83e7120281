"""Compliance flags an applicant as of high risk, so that it takes two to approve him, or takes the flag away."""

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.kyc.store.reviews import save_risk
from services.kyc.store.verifications import lock_applicant


class ChangeRisk:
    """Sets the flag. Whoever takes it away does not approve alone afterwards."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, user_id: str, asker: Asker, *, is_high: bool, reason: str) -> None:
        """Set the flag, or take it away. Idempotent: what is so already stays, with who said it.

        Locks: the verification. Raises: NotFound `application_not_found`, Unavailable.
        """
        async with self._uow.begin() as tx:
            verification = await lock_applicant(tx.connection, user_id)
            if verification.risk.is_high == is_high:
                return
            now = self._clock()
            await save_risk(tx.connection, user_id, is_high=is_high, actor_id=asker.actor_id, reason=reason, now=now)
            facts = {"before": verification.risk.is_high, "after": is_high}
            await record(tx, asker, "verification.change_risk", at=now, resource=("customer", user_id), facts=facts)
