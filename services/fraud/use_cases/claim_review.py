"""A reviewer takes a review for a quarter of an hour, or lets go of it."""

import asyncpg

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.errors import Conflict, NotFound
from services.fraud.domain.reviews import CLAIM_LASTS, Review, require_reviewer
from services.fraud.store.reviews import claim_review, lock_review, note_events
from services.fraud.store.unit_of_work import UnitOfWork


class ClaimReview:
    """Gives a review to one person at a time, by a lease: who goes home blocks nobody.

    Idempotent by: who has it; his claim begins anew. Locks: the review.
    """

    def __init__(self, work: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._work = work
        self._clock = clock

    async def __call__(self, transfer_id: str, asker: Asker) -> None:
        """Claim it for whoever asks.

        Raises: NotFound `review_not_found`, Forbidden `own_transfer`, Conflict `review_not_open`, `review_claimed`,
        Unavailable.
        """
        async with self._work.open() as transaction:
            review = await locked(transaction.connection, transfer_id)
            now = self._clock()
            require_reviewer(review, asker.actor_id, now)
            await claim_review(transaction.connection, transfer_id, asker.actor_id, now + CLAIM_LASTS)
            await note_events(transaction.connection, {transfer_id: ""}, "claimed", asker.actor_id, now)
            about, facts = ("transfer", transfer_id), {"step": "claimed"}
            await record(transaction, asker, "review.decide", at=now, resource=about, facts=facts)

    async def release(self, transfer_id: str, asker: Asker) -> None:
        """Let go of what whoever asks has claimed.

        Raises: NotFound `review_not_found`, Conflict `review_not_claimed`: he has not claimed it, or it is over;
        Unavailable.
        """
        async with self._work.open() as transaction:
            review = await locked(transaction.connection, transfer_id)
            if review.claimed_by != asker.actor_id:
                raise Conflict("review_not_claimed", "You have not claimed this review, or it is over.")
            now = self._clock()
            await claim_review(transaction.connection, transfer_id, None, None)
            await note_events(transaction.connection, {transfer_id: ""}, "unclaimed", asker.actor_id, now)
            about, facts = ("transfer", transfer_id), {"step": "unclaimed"}
            await record(transaction, asker, "review.decide", at=now, resource=about, facts=facts)


async def locked(connection: asyncpg.Connection, transfer_id: str) -> Review:
    """Return a transfer's review. Locks: it. Raises: NotFound `review_not_found`."""
    review = await lock_review(connection, transfer_id)
    if review is None:
        raise NotFound("review_not_found", "No transfer of this id was ever held for a review.")
    return review
