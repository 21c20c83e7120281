"""Intake of an atomic batch: all its requests are kept in one transaction, and sent as one message."""

from collections.abc import Sequence
from typing import Final

from libs.common.clock import Clock, to_rfc3339
from libs.common.crash_points import reached
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable, Unprocessable
from libs.common.ids import new_id
from libs.common.messaging.publisher import Publisher
from services.gateway.messages import batch_requested
from services.gateway.store.transfers import NewRequest, StoredRequest, find_by_keys, insert_requests
from services.gateway.use_cases.accept_transfers import Intake, RequestKey, Submission, as_row
from services.gateway.use_cases.await_outcomes import Waiters

_WAITING_MAX: Final = 32
"""Batches; a thousand rows each."""


class _KeysKnown(Exception):
    """Some key of the batch is kept already."""


class AtomicIntake:
    """Keeps and publishes atomic batches, over a connection of its own: they are large, singles must not wait."""

    def __init__(
        self, connection: HotConnection, publisher: Publisher, waiters: Waiters, intake: Intake, clock: Clock
    ) -> None:
        """Share the waiters and the keys on their way in with the ordinary intake."""
        self._connection = connection
        self._publisher = publisher
        self._waiters = waiters
        self._intake = intake
        self._clock = clock
        self._waiting = 0
        """How many batches are being stored, or wait for their turn."""

    async def submit(self, submissions: Sequence[Submission]) -> None:
        """Keep the batch whole, or answer it from what is kept. The submissions' futures get the outcomes.

        Idempotent by: the keys; each body hash covers the whole batch. Raises: Conflict request_in_progress,
        Unprocessable idempotency_key_reused, Unavailable (overloaded, before anything is stored).
        """
        self._intake.require_room()
        if self._waiting >= _WAITING_MAX:
            raise Unavailable("overloaded", "Too many batches are waiting; try again.", retry_after_seconds=1)
        keys = [submission.key for submission in submissions]
        self._intake.claim(keys)
        self._waiting += 1
        try:
            batch_id = new_id()
            try:
                await self._store(submissions, batch_id)
            except _KeysKnown:
                await self._replay(submissions, keys)
        finally:
            self._waiting -= 1
            self._intake.release(keys)

    async def _store(self, submissions: Sequence[Submission], batch_id: str) -> None:
        try:
            reached("gateway.intake_before_commit")
            # tidy: allow commit-outside-unit-of-work: a hot path without outbox rows; the request is its own
            async with self._connection.transaction() as connection:
                # Only now: a row may not be much younger than its id, and the connection may have been waited for.
                now = self._clock()
                rows = self._number(submissions, batch_id, to_rfc3339(now))
                in_key_order = sorted(rows, key=lambda row: (row.principal_id, row.scope, row.idempotency_key))
                if await insert_requests(connection, in_key_order, now) != len(rows):
                    raise _KeysKnown
        except BaseException:
            for submission in submissions:
                self._waiters.drop(submission.transfer_id)
            raise
        reached("gateway.intake_after_commit")
        actor_id = rows[0].principal_id
        await self._publisher.send([batch_requested(actor_id, batch_id, [row.command for row in rows])])
        for submission in submissions:
            self._waiters.end_after(submission.transfer_id, submission.answer, submission.wait_seconds)

    def _number(self, submissions: Sequence[Submission], batch_id: str, requested_at: str) -> list[NewRequest]:
        for submission in submissions:
            submission.transfer_id = new_id()
            submission.accepted_at = requested_at
            self._waiters.expect(submission.transfer_id, submission.answer)
        return [as_row(submission, batch_id, position) for position, submission in enumerate(submissions)]

    async def _replay(self, submissions: Sequence[Submission], keys: Sequence[RequestKey]) -> None:
        async with self._connection.autocommit() as connection:
            kept = await find_by_keys(connection, keys)
        if any(not _is_same(submission, kept.get(submission.key)) for submission in submissions):
            raise Unprocessable(
                "idempotency_key_reused",
                "A key of this batch was used for another request; send the same batch again, or use new keys.",
            )
        for submission in submissions:
            self._intake.replay(submission, kept[submission.key])


def _is_same(submission: Submission, earlier: StoredRequest | None) -> bool:
    return earlier is not None and earlier.body_hash == submission.body_hash
