"""Compliance approves or rejects; rejecting what was approved revokes it."""

from dataclasses import replace
from typing import Literal

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.contracts.topics import VERIFICATIONS
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from services.kyc.domain.verification import Verification, move
from services.kyc.messages import verification_changed
from services.kyc.metrics import DECISIONS
from services.kyc.store.verifications import lock_verification, save_verification


class DecideApplication:
    """Takes a reviewer's decision. Whatever was held for it is released or returned by those who hear of it."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(
        self, *, user_id: str, decision: Literal["approve", "reject"], reason: str, asker: Asker
    ) -> Verification:
        """Store the decision of whoever asks, and return the verification.

        Locks: the verification. Emits: VerificationChanged. Raises: NotFound `application_not_found`,
        Conflict `not_in_review`, Unavailable.
        """
        async with self._uow.begin() as tx:
            before = await lock_verification(tx.connection, user_id)
            if before is None:
                raise NotFound("application_not_found", "Nobody with this id has applied.")
            now = self._clock()
            verification = replace(
                before,
                state=move(before.state, decision),
                decided_at=now,
                decided_by=asker.actor_id,
                reason=reason,
                changed_at=now,
            )
            await save_verification(
                tx.connection, verification, decision, before=before.state.status, actor_id=asker.actor_id
            )
            tx.emit(VERIFICATIONS, user_id, verification_changed(verification))
            facts = {"before": before.state.status, "after": verification.state.status}
            await record(tx, asker, "verification.review", at=now, resource=("customer", user_id), facts=facts)
        DECISIONS.labels(decision).inc()
        return verification
