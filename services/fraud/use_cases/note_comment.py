"""A reviewer says something about a review, to his colleagues alone."""

from typing import Final

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.errors import Conflict
from services.fraud.domain.reviews import require_outsider
from services.fraud.store.reviews import count_comments, note_events
from services.fraud.store.unit_of_work import UnitOfWork
from services.fraud.use_cases.claim_review import locked

COMMENTS_MAX: Final = 200


class NoteComment:
    """Keeps comments, also on a review that is over. Locks: the review."""

    def __init__(self, work: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._work = work
        self._clock = clock

    async def __call__(self, transfer_id: str, text: str, asker: Asker) -> None:
        """Keep a comment; it needs no claim. What it says stands in the review, never in the audit log.

        Raises: NotFound `review_not_found`, Forbidden `own_transfer`, Conflict `too_many_comments`, Unavailable.
        """
        async with self._work.open() as transaction:
            review = await locked(transaction, transfer_id)
            require_outsider(review.parties, asker.actor_id)
            if await count_comments(transaction.connection, transfer_id) >= COMMENTS_MAX:
                raise Conflict("too_many_comments", f"A review has {COMMENTS_MAX} comments at most.")
            now = self._clock()
            await note_events(transaction.connection, {transfer_id: text}, "commented", asker.actor_id, now)
            about, facts = ("transfer", transfer_id), {"step": "commented"}
            await record(transaction, asker, "review.decide", at=now, resource=about, facts=facts)
