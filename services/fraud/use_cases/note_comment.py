"""A reviewer says something about a review, to his colleagues alone."""

from typing import Final

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Conflict
from libs.common.http.idempotency import Once
from services.fraud.domain.reviews import require_outsider
from services.fraud.store.reviews import count_comments, note_events
from services.fraud.use_cases.claim_review import locked

COMMENTS_MAX: Final = 200


class NoteComment:
    """Keeps comments, also on a review that is over. Idempotent by: the request's key."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, once: Once[None], transfer_id: str, text: str, asker: Asker) -> None:
        """Keep a comment; it needs no claim. What it says stands in the review, never in the audit log.

        Locks: the request's key, the review. Raises: AnsweredBefore; NotFound `review_not_found`, Forbidden
        `own_transfer`, Conflict `too_many_comments`, Unavailable.
        """
        async with once.work(self._uow) as tx:
            connection = await tx.driver()
            review = await locked(connection, transfer_id)
            require_outsider(review.parties, asker.actor_id)
            if await count_comments(connection, transfer_id) >= COMMENTS_MAX:
                raise Conflict("too_many_comments", f"A review has {COMMENTS_MAX} comments at most.")
            now = self._clock()
            await note_events(connection, {transfer_id: text}, "commented", asker.actor_id, now)
            about, facts = ("transfer", transfer_id), {"step": "commented"}
            await record(tx, asker, "review.decide", at=now, resource=about, facts=facts)
            tx.made(None)
