"""A customer asks for a higher tier, or asks for it no more. Until it is decided he keeps the one that he has."""

from dataclasses import replace

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.contracts.topics import VERIFICATIONS
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.http.idempotency import Once
from services.kyc.domain.decision import missing_for
from services.kyc.domain.verification import TIER_REQUESTED, CustomerAction, Verification, move
from services.kyc.messages import verification_changed
from services.kyc.store.given_documents import find_given_kinds
from services.kyc.store.verifications import lock_applicant, lock_verification, save_verification
from services.kyc.use_cases.wait_for_retry import require_waited


class RequestTier:
    """Takes requests for a tier. Idempotent by: the request's key; without one, twice is refused."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, once: Once[Verification], asker: Asker, *, tier: int) -> Verification:
        """Ask for a tier for whoever asks: in review at once if its documents are there, else named in `needs`.

        Locks: the request's key, the verification. Emits: VerificationChanged. Raises: AnsweredBefore; NotFound
        `application_not_found`; Conflict `tier_not_requestable`, `retry_too_soon`; Unavailable.
        """
        async with once.work(self._uow) as tx:
            before = await lock_applicant(tx.connection, asker.actor_id)
            missing = missing_for(tier, await find_given_kinds(tx.connection, asker.actor_id))
            action: CustomerAction = "prepare" if missing else "request"
            state = move(before.state, action, tier=tier)
            require_waited(before.retry_at, self._clock())
            verification = replace(before, state=state, needs=tuple(missing))
            verification = await self._save(tx, verification, action, before, asker)
            tx.made(verification)
        return verification

    async def withdraw(self, asker: Asker) -> None:
        """Ask for no other tier any more. Idempotent: where none was asked for, nothing happens.

        Locks: the verification. Emits: VerificationChanged. Raises: Unavailable.
        """
        async with self._uow.begin() as tx:
            before = await lock_verification(tx.connection, asker.actor_id)
            if before is None or before.state.status not in TIER_REQUESTED:
                return
            verification = replace(before, state=move(before.state, "withdraw"), needs=())
            await self._save(tx, verification, "withdraw", before, asker)

    async def _save(
        self, tx: Transaction, after: Verification, action: CustomerAction, before: Verification, asker: Asker
    ) -> Verification:
        """Store what the customer did; who approved him, and when, stays."""
        now = self._clock()
        verification = replace(after, reason="", changed_at=now, rejection_code="", claim=None, retry_at=None)
        user_id = verification.user_id
        await save_verification(tx.connection, verification, action, before=before.state.status, actor_id=user_id)
        tx.emit(VERIFICATIONS, user_id, verification_changed(verification))
        facts = {"step": action, "tier": max(before.state.requested_tier, after.state.requested_tier)}
        await record(tx, asker, "verification.request_tier", at=now, resource=("customer", user_id), facts=facts)
        return verification
