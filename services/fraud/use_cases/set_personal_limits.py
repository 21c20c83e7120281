"""Compliance gives one customer limits of his own, narrower than his profile's and tier's, or takes them back."""

from dataclasses import replace

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from services.fraud.domain.bounds import CAPS, Bounds, require_within_caps
from services.fraud.domain.set_by_staff import PersonalLimits
from services.fraud.store.personal_limits import lock_personal_limits, save_personal_limits


class SetPersonalLimits:
    """Sets them. Idempotent by: the limits; setting what is set changes nothing."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, *, asker: Asker, user_id: str, bounds: Bounds, reason: str) -> PersonalLimits:
        """Store the limits and the audit entry; they hold from the next decision on. No bounds at all end them.

        Locks: the customer's row. Raises: Unprocessable `minimum_above_maximum`, `limit_above_cap`; NotFound
        `customer_not_found`; Unavailable.
        """
        require_within_caps(bounds, CAPS["business"])
        async with self._uow.begin() as tx:
            connection = await tx.driver()
            before = await lock_personal_limits(connection, user_id)
            if before is None:
                raise NotFound("customer_not_found", "There is no such customer.")
            if before.bounds.says_the_same_as(bounds):
                return before
            now = self._clock()
            bounds = replace(bounds, version=before.bounds.version + 1)
            after = PersonalLimits(bounds, reason, asker.actor_id, now)
            await save_personal_limits(connection, user_id, after)
            await record(
                tx,
                asker,
                "personal_limits.set",
                at=now,
                resource=("customer", user_id),
                facts={"before": before.bounds.said(), "after": bounds.said()},
            )
        return after
