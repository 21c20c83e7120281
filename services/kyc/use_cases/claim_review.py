"""A reviewer takes an application from the queue, so that nobody else works on it, or gives it back."""

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.kyc.domain.review import LEASE, Claim, require_free
from services.kyc.domain.verification import require_in_review
from services.kyc.store.reviews import save_claim
from services.kyc.store.verifications import lock_applicant


class ClaimReview:
    """Claims and gives back. Idempotent by: the reviewer; claiming again begins the half hour anew."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def claim(self, user_id: str, asker: Asker) -> Claim:
        """Let nobody else decide on this application for half an hour, or until it is decided.

        Locks: the verification. Raises: NotFound `application_not_found`; Conflict `not_in_review`,
        `claimed_by_another`; Unavailable.
        """
        async with self._uow.begin() as tx:
            now = self._clock()
            verification = await lock_applicant(tx.connection, user_id)
            require_in_review(verification.state)
            require_free(verification.claim, asker.actor_id, now)
            claim = Claim(asker.actor_id, now + LEASE)
            await save_claim(tx.connection, user_id, claim)
            await record(tx, asker, "verification.claim", at=now, resource=("customer", user_id))
        return claim

    async def give_back(self, user_id: str, asker: Asker) -> None:
        """End a claim of one's own; where there is none, nothing happens.

        Locks: the verification. Raises: NotFound `application_not_found`; Conflict `claimed_by_another`; Unavailable.
        """
        async with self._uow.begin() as tx:
            now = self._clock()
            verification = await lock_applicant(tx.connection, user_id)
            require_free(verification.claim, asker.actor_id, now)
            await save_claim(tx.connection, user_id, None)
            await record(tx, asker, "verification.give_back", at=now, resource=("customer", user_id))
