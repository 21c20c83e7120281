"""A reviewer decides on many at once: each for itself, so that one that cannot be keeps no other from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.contracts.audit import Outcome
from libs.common.db.kept_answers import RequestKey
from libs.common.errors import Conflict, Forbidden, NotFound, Unavailable, Unprocessable
from services.fraud.domain.reviews import Decided, Refused
from services.fraud.store.bulk_reviews import begin_bulk, lock_outcome, save_outcome
from services.fraud.store.unit_of_work import Transaction, UnitOfWork
from services.fraud.use_cases.decide_review import DecideReview, Decision, count_decision, while_limits_move
from services.fraud.use_cases.end_holds import Resolved

REVIEWS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """One decision about many reviews, and what makes another request a copy of it."""

    key: RequestKey
    body_hash: bytes
    decision: Decision
    reason: str


class DecideReviews:
    """Decides on up to a hundred reviews, one transaction each, in which its outcome is kept under the request's key.

    Whoever asks may be gone before the last of them: he is told that nobody answers, asks again with the same key, and
    learns of each what became of it, whether the first request is over, still at work, or died on the way.
    """

    def __init__(self, work: UnitOfWork, decide_review: DecideReview, clock: Clock) -> None:
        """Take what it works with."""
        self._work = work
        self._decide_review = decide_review
        self._clock = clock

    async def __call__(
        self, request: BulkRequest, transfer_ids: Sequence[str], asker: Asker
    ) -> tuple[list[Decided | Refused], bool]:
        """Return (what became of each, in the order they were named; whether a request before had decided them all).

        Idempotent by: the key and the transfer. What is unavailable is refused for now, and a copy tries it again.
        Locks: for each one, the request's outcomes, then as DecideReview. Emits: HoldResolved. Raises: Unprocessable
        `idempotency_key_reused`; Unavailable, also if it cannot be recorded that something was.
        """
        async with self._work.open() as transaction:
            bulk_id, first_hash = await begin_bulk(transaction.connection, request.key, request.body_hash)
        if first_hash != request.body_hash:
            raise Unprocessable(
                "idempotency_key_reused", "This key was used for another request; use a new key for a new request."
            )
        found = [await self._outcome_of(bulk_id, request, transfer_id, asker) for transfer_id in transfer_ids]
        asker.is_recorded = True  # whatever was done or refused stands with its outcome; the rest was so before
        return [outcome for outcome, _ in found], all(was_so for _, was_so in found)

    async def _outcome_of(
        self, bulk_id: str, request: BulkRequest, transfer_id: str, asker: Asker
    ) -> tuple[Decided | Refused, bool]:
        try:
            return await while_limits_move(lambda: self._decide_once(bulk_id, request, transfer_id, asker))
        except Unavailable as failure:
            async with self._work.open() as transaction:
                await self._record(transaction, transfer_id, asker, "failed", failure.code)
            return Refused(transfer_id, failure.code, failure.detail), False

    async def _decide_once(
        self, bulk_id: str, request: BulkRequest, transfer_id: str, asker: Asker
    ) -> tuple[Decided | Refused, bool]:
        resolved = Resolved()
        async with self._work.open() as transaction:
            kept = await lock_outcome(transaction.connection, bulk_id, transfer_id)
            if kept is not None:
                return kept, True
            outcome: Decided | Refused
            try:
                outcome = await self._decide_review.within(
                    transaction, transfer_id, request.decision, request.reason, asker, resolved
                )
            except (Forbidden, NotFound, Conflict) as refusal:
                await self._record(transaction, transfer_id, asker, "refused", refusal.code)
                outcome = Refused(transfer_id, refusal.code, refusal.detail)
            await save_outcome(transaction.connection, bulk_id, outcome)
        if isinstance(outcome, Decided):
            count_decision(outcome, resolved)
        return outcome, False

    async def _record(
        self, transaction: Transaction, transfer_id: str, asker: Asker, outcome: Outcome, code: str
    ) -> None:
        about = ("transfer", transfer_id)
        await record(
            transaction, asker, "review.decide", at=self._clock(), resource=about, outcome=outcome, reason=code
        )
