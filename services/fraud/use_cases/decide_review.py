"""A reviewer approves or rejects a held transfer: it goes on, or its money goes back, in the same transaction."""

from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

from libs.common.approvals.keep_approvals import keep_approvals
from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.errors import Unavailable
from libs.common.invariants import check
from services.fraud.domain.holds import REVIEW
from services.fraud.domain.reviews import REJECTED_CODE, Decided, ReviewStatus, is_last_approval, require_reviewer
from services.fraud.metrics import REVIEWS_DECIDED
from services.fraud.store.holds import lock_holds
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.reviews import EventKind, approve_once, close_reviews, note_events
from services.fraud.store.unit_of_work import Transaction, UnitOfWork
from services.fraud.use_cases.claim_review import locked
from services.fraud.use_cases.end_holds import EndHolds, Resolved, count_endings, rejected, released
from services.fraud.use_cases.read_policy import PolicyInForce
from services.fraud.use_cases.read_screening_data import ScreeningInForce

_TRIES: Final = 5

Decision = Literal["approve", "reject"]

_Made = TypeVar("_Made")


class DecideReview:
    """Takes a reviewer's decision. The first approval of two only notes it.

    Idempotent by: the review's status. Locks: for an approval, first, what voids approvals; the hold, the review, the
    lists, then the payer's row. Emits: HoldResolved.
    """

    def __init__(self, work: UnitOfWork, policy: PolicyInForce, screening: ScreeningInForce, clock: Clock) -> None:
        """Take a unit of work of one's own: it must not wait for what is being screened."""
        self._work = work
        self._policy = policy
        self._screening = screening
        self._clock = clock

    async def __call__(self, transfer_id: str, decision: Decision, reason: str, asker: Asker) -> Decided:
        """Decide for whoever asks; nobody else may have claimed it. `reason` is for colleagues alone.

        Raises: NotFound `review_not_found`; Forbidden `own_transfer`; Conflict `review_not_open`, `review_claimed`,
        `second_person_required`; Unavailable.
        """
        return await while_limits_move(lambda: self._decide(transfer_id, decision, reason, asker))

    async def _decide(self, transfer_id: str, decision: Decision, reason: str, asker: Asker) -> Decided:
        resolved = Resolved()
        async with self._work.open() as transaction:
            decided = await self.within(transaction, transfer_id, decision, reason, asker, resolved)
        count_decision(decided, resolved)
        return decided

    async def within(
        self,
        transaction: Transaction,
        transfer_id: str,
        decision: Decision,
        reason: str,
        asker: Asker,
        resolved: Resolved,
    ) -> Decided:
        """Decide in the caller's transaction, who counts what fills `resolved` once it has committed.

        Raises: as the call; until a refusal nothing was written.
        """
        if decision == "approve":
            # The database counts them once more. Before all else: what screens may wait for the hold, never for this.
            await keep_approvals(transaction)
        holds = await lock_holds(transaction.connection, [transfer_id])
        review = await locked(transaction.connection, transfer_id)
        now = self._clock()
        require_reviewer(review, asker.actor_id, now)
        step: EventKind = "rejected"
        if decision == "approve":
            step = "approved" if is_last_approval(review, asker.actor_id) else "approved_once"
        about, facts = ("transfer", transfer_id), {"step": step, "usd_minor": review.usd_minor}
        await note_events(transaction.connection, {transfer_id: reason}, step, asker.actor_id, now)
        await record(transaction, asker, "review.decide", at=now, resource=about, facts=facts)
        if step == "approved_once":
            await approve_once(transaction.connection, transfer_id, asker.actor_id, now)
            return Decided(transfer_id, "open", tuple(holds[0].reasons), "")
        check(bool(holds) and REVIEW in holds[0].reasons, "what is reviewed waits for it", transfer_id=transfer_id)
        status: ReviewStatus = "approved" if step == "approved" else "rejected"
        await close_reviews(transaction.connection, [transfer_id], status, asker.actor_id, now)
        ending = released(holds[0], REVIEW) if step == "approved" else rejected(holds[0], REVIEW, REJECTED_CODE)
        # Nothing is remembered from one decision to the next: the limits move in the process that screens.
        end_holds = EndHolds(PayerCache(), self._policy, self._screening)
        await end_holds(transaction, [ending], now, resolved)
        [ended] = resolved.endings
        return Decided(transfer_id, status, ended.remaining, ended.code)


async def while_limits_move(decide: Callable[[], Awaitable[_Made]]) -> _Made:
    """Return what deciding makes, tried again while the payer sends at this very moment: his limits have moved then.

    Raises: what it does, and after five times Unavailable `limits_moved`.
    """
    for _ in range(_TRIES - 1):
        try:
            return await decide()
        except Unavailable as failure:
            if failure.code != "limits_moved":
                raise
    return await decide()


def count_decision(decided: Decided, resolved: Resolved) -> None:
    """Count what was committed; the first approval of two is no end."""
    if decided.review_status != "open":
        count_endings(resolved)
        REVIEWS_DECIDED.labels(decided.review_status).inc()
