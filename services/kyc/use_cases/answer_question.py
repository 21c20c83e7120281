"""A customer says that what a reviewer asked for is there now."""

from dataclasses import replace

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.contracts.topics import VERIFICATIONS
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.http.idempotency import Once
from services.kyc.domain.decision import require_documents, require_provided
from services.kyc.domain.verification import Verification, move
from services.kyc.messages import verification_changed
from services.kyc.store.given_documents import find_given_kinds
from services.kyc.store.verifications import lock_applicant, save_verification


class AnswerQuestion:
    """Brings a verification back into review. Idempotent by: the request's key; without one, twice is refused."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, once: Once[Verification], asker: Asker) -> Verification:
        """Let whoever asks be reviewed again, once all that he was asked for has been sent since then.

        Locks: the request's key, the verification. Emits: VerificationChanged. Raises: AnsweredBefore; NotFound
        `application_not_found`; Conflict `information_not_asked`, `information_incomplete`, `documents_missing`;
        Unavailable.
        """
        user_id = asker.actor_id
        async with once.work(self._uow) as tx:
            before = await lock_applicant(tx.connection, user_id)
            state = move(before.state, "provide")
            require_provided(before.needs, await find_given_kinds(tx.connection, user_id, since=before.changed_at))
            if state.requested_tier:
                # What was there when he asked for the tier may have been removed since.
                require_documents(state.requested_tier, await find_given_kinds(tx.connection, user_id))
            now = self._clock()
            verification = replace(before, state=state, reason="", changed_at=now, needs=(), claim=None)
            if state.status == "in_review":
                verification = replace(verification, decided_at=None, decided_by=None)
            await save_verification(
                tx.connection, verification, "provide", before=before.state.status, actor_id=user_id
            )
            tx.emit(VERIFICATIONS, user_id, verification_changed(verification))
            await record(tx, asker, "verification.provide", at=now, resource=("customer", user_id))
            tx.made(verification)
        return verification
