"""A reviewer decides: he approves, rejects, declines a tier, asks for more, suspends an approval or lets it go on."""

from dataclasses import replace
from datetime import datetime

from libs.common.approvals.keep_approvals import keep_approvals
from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.contracts.topics import VERIFICATIONS
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from services.kyc.domain.decision import Decision, Dossier, require_askable, require_documents, require_unchanged
from services.kyc.domain.retry import REJECTIONS_WITHIN, retry_at_after
from services.kyc.domain.review import Approval, is_approved, require_free
from services.kyc.domain.verification import Verification, move
from services.kyc.messages import verification_changed
from services.kyc.metrics import DECISIONS
from services.kyc.store.documents import count_document_changes
from services.kyc.store.given_documents import find_given_kinds
from services.kyc.store.reviews import find_approvals, find_rejections, save_approval, save_claim
from services.kyc.store.verifications import lock_applicant, save_verification


class DecideApplication:
    """Takes a reviewer's decision. Whatever was held for it is released or returned by those who hear of it."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, user_id: str, decision: Decision, asker: Asker) -> Verification:
        """Store the decision of whoever asks, and return the verification.

        The first of two approvals that an applicant of high risk needs is kept, and changes nothing else: it is
        returned in the state that it had. Locks: the verification; for an approval, then, what voids approvals.
        Emits: VerificationChanged. Raises: NotFound `application_not_found`; Conflict `application_changed`,
        `not_in_review`, `claimed_by_another`, `documents_missing`; Forbidden `second_person_needed`; Unavailable.
        """
        async with self._uow.begin() as tx:
            before = await lock_applicant(tx.connection, user_id)
            present = Dossier(before.state.version, await count_document_changes(tx.connection, user_id))
            require_unchanged(decision.seen, present, before.state)
            now = self._clock()
            tier = decision.tier_for(before.state)
            state = move(before.state, decision.action, tier=tier, may_retry=decision.may_retry)
            require_askable(before.state, decision.needs)
            require_free(before.claim, asker.actor_id, now)
            if decision.action == "approve" and not await self._is_approved(tx, before, present, decision, tier, asker):
                return before
            verification = replace(
                before,
                state=state,
                decided_at=now,
                decided_by=asker.actor_id,
                reason=decision.reason,
                changed_at=now,
                rejection_code=decision.code,
                needs=decision.needs,
                claim=None,
                retry_at=await self._retry_at(tx, before, decision),
            )
            await save_verification(
                tx.connection, verification, decision.action, before=before.state.status, actor_id=asker.actor_id
            )
            tx.emit(VERIFICATIONS, user_id, verification_changed(verification))
            facts = {"before": before.state.status, "after": state.status, **_facts_of(decision, tier)}
            await record(tx, asker, "verification.review", at=now, resource=("customer", user_id), facts=facts)
        DECISIONS.labels(decision.action).inc()
        return verification

    async def _retry_at(self, tx: Transaction, before: Verification, decision: Decision) -> datetime | None:
        """Return when whoever is turned down may ask again; None: never, or he was not turned down."""
        if decision.action not in ("reject", "decline") or not decision.may_retry:
            return None
        now = self._clock()
        return retry_at_after(await find_rejections(tx.connection, before.user_id, now - REJECTIONS_WITHIN), now)

    async def _is_approved(
        self, tx: Transaction, before: Verification, present: Dossier, decision: Decision, tier: int, asker: Asker
    ) -> bool:
        """Tell whether this approval is enough; if not, it is kept, and the application is free for a colleague."""
        user_id = before.user_id
        require_documents(tier, await find_given_kinds(tx.connection, user_id))
        approval = Approval(asker.actor_id, tier)
        await keep_approvals(tx)  # the database counts them once more
        if is_approved(before.risk, await find_approvals(tx.connection, user_id, present), approval):
            return True
        now = self._clock()
        await save_approval(tx.connection, user_id, present, approval, reason=decision.reason, now=now)
        await save_claim(tx.connection, user_id, None)
        facts = {"before": before.state.status, "after": before.state.status, "tier": tier}
        await record(tx, asker, "verification.review", at=now, resource=("customer", user_id), facts=facts)
        return False


def _facts_of(decision: Decision, tier: int) -> dict[str, object]:
    """Return what an auditor asks for besides: codes and numbers, no words about a person."""
    if decision.action == "approve":
        return {"tier": tier}
    if decision.action == "decline":
        return {"code": decision.code}
    if decision.action == "reject":
        return {"code": decision.code, "may_retry": decision.may_retry}
    return {"needs": list(decision.needs)} if decision.action == "ask" else {}
