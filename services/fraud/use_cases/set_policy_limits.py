"""Compliance changes what a profile or a KYC tier may send."""

from dataclasses import replace

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.fraud.domain.bounds import CAPS, Bounds, require_within_caps
from services.fraud.domain.set_by_staff import LimitKind, SetLimits
from services.fraud.store.limit_rows import lock_limits, save_limits


class SetPolicyLimits:
    """Sets the limits of a profile or a tier. Idempotent by: the limits; setting what is set changes nothing."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, *, asker: Asker, kind: LimitKind, subject: str, bounds: Bounds, reason: str) -> SetLimits:
        """Store the limits and the audit entry; they hold for decisions within ten seconds.

        Locks: the row. Raises: Unprocessable `minimum_above_maximum`, `limit_above_cap`; Unavailable.
        """
        require_within_caps(bounds, CAPS.get(subject, CAPS["business"]))
        async with self._uow.begin() as tx:
            connection = await tx.driver()
            before = await lock_limits(connection, kind, subject)
            if before.bounds.says_the_same_as(bounds):
                return before
            now = self._clock()
            bounds = replace(bounds, version=before.bounds.version + 1)
            after = SetLimits(bounds, reason, asker.actor_id, now)
            await save_limits(connection, kind, subject, after)
            facts = {"before": before.bounds.said(), "after": bounds.said()}
            await record(tx, asker, "limit_policy.set", at=now, resource=(f"limit_{kind}", subject), facts=facts)
        return after
