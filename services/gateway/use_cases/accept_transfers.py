"""Intake: requests are kept before they are acknowledged, a lump in one commit, then published.

What has arrived while the previous commit was under way makes the next lump. Of single requests at most 100, because
larger lumps leave the cores idle between the stages; of a long queue, which bulk makes, a quarter and at most 500. A
lone request waits for nobody.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

import asyncpg
import msgspec
import structlog
from opentelemetry.trace import Span

from libs.common.clock import Clock, to_rfc3339
from libs.common.crash_points import reached
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict, InvariantBroken, Unavailable, Unprocessable
from libs.common.ids import new_id
from libs.common.messaging.outgoing_message import Outgoing
from libs.common.messaging.publisher import Publisher
from libs.common.telemetry.traces import note_work, traceparent_of
from services.gateway.domain.outcomes import Outcome
from services.gateway.messages import transfer_requested
from services.gateway.metrics import INTAKE_LUMP, REPLAYS
from services.gateway.store.transfers import (
    NewRequest,
    StoredRequest,
    find_by_keys,
    insert_new_requests,
    insert_requests,
)
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.use_cases.prepare_transfer import Draft

log = structlog.get_logger()

_LUMP: Final = 100
_LUMP_MAX: Final = 500
WAITING_MAX: Final = 20_000
"""How many requests may wait to be stored: about two seconds' work."""
UNSENT_MAX: Final = 20_000
"""How many stored requests may wait for the broker before no more are taken; the sweepers send what a crash leaves."""
_COPIES_MAX: Final = 1_000
_TRIES: Final = 3
_LOOK_AFTER_A_COPY: Final = 100
"""Lumps; a copy in every hundredth costs no more than looking at all of them."""

_encode = msgspec.json.Encoder().encode

_Inserted = TypeVar("_Inserted")

RequestKey = tuple[str, str, str]
"""(principal id, scope, idempotency key)"""


@dataclass(slots=True, eq=False)
class Submission:
    """One request on its way in. `answer` gets its outcome, or the error to answer with."""

    scope: str
    idempotency_key: str
    body_hash: bytes
    draft: Draft
    wait_seconds: float
    answer: asyncio.Future[Outcome]
    span: Span | None = None
    """Only of a traced request; ends when the request is durable."""
    transfer_id: str = ""
    accepted_at: str = ""
    stored: StoredRequest | None = field(default=None)
    """Set when the key was known: what is kept under it."""

    @property
    def key(self) -> RequestKey:
        """Return what makes this request the same as another."""
        return (self.draft.actor_id, self.scope, self.idempotency_key)


class Intake:
    """Keeps and publishes requests. One lump at a time, over one connection."""

    def __init__(
        self,
        connection: HotConnection,
        publisher: Publisher,
        waiters: Waiters,
        clock: Clock,
        *,
        waiting_max: int = WAITING_MAX,
        unsent_max: int = UNSENT_MAX,
    ) -> None:
        """Use a connection of its own. Beyond the bounds requests are refused, not queued."""
        self._connection = connection
        self._publisher = publisher
        self._waiters = waiters
        self._clock = clock
        self._waiting_max = waiting_max
        self._unsent_max = unsent_max
        self._waiting: deque[Submission] = deque()
        self._not_durable: set[RequestKey] = set()
        self._copies: dict[RequestKey, list[Submission]] = {}
        """Requests whose first copy is not durable yet; their turn comes after it."""
        self._copies_held = 0
        self._wake = asyncio.Event()
        self._lumps_looked_at = 0
        """How many lumps from here on may have copies among them."""

    def submit(self, submission: Submission) -> None:
        """Queue a request; a copy of one that is not durable yet waits for it. Raises: Conflict, Unavailable.

        Conflict is request_in_progress, when too many copies wait already; Unavailable is overloaded.
        """
        key = submission.key
        if key in self._not_durable:
            self._hold_copy(key, submission)
            return
        self.require_room()
        self._not_durable.add(key)
        self._waiting.append(submission)
        self._wake.set()

    def require_room(self, count: int = 1) -> None:
        """Let pass who brings so many requests, if there is room for them. Raises: Unavailable overloaded."""
        if len(self._waiting) + count > self._waiting_max:
            raise Unavailable("overloaded", "Too many requests are waiting; try again.", retry_after_seconds=1)
        if self._publisher.waiting_messages >= self._unsent_max:
            # With the broker away what is taken is only answered 202; without an end, nobody would catch up with it.
            raise Unavailable(
                "overloaded", "Too many requests wait to be carried out; try again.", retry_after_seconds=5
            )

    def _hold_copy(self, key: RequestKey, submission: Submission) -> None:
        if self._copies_held >= _COPIES_MAX:
            raise _in_progress()
        self._copies.setdefault(key, []).append(submission)
        self._copies_held += 1

    def claim(self, keys: Sequence[RequestKey]) -> None:
        """Mark keys as on their way in. Raises: Conflict when a copy that is not durable yet holds one of them."""
        for key in keys:
            if key in self._not_durable:
                raise _in_progress()
        self._not_durable.update(keys)

    def release(self, keys: Sequence[RequestKey]) -> None:
        """Unmark keys: they are durable now, or were given up. Their copies come into the next lump, all together."""
        self._not_durable.difference_update(keys)
        if self._copies:
            for key in keys:
                self._let_copies_in(key)

    def _let_copies_in(self, key: RequestKey) -> None:
        copies = self._copies.pop(key, [])
        if copies:
            self._copies_held -= len(copies)
            self._not_durable.add(key)
            self._waiting.extend(copies)
            self._lumps_looked_at = max(self._lumps_looked_at, 1)
            self._wake.set()

    async def run(self) -> None:
        """Store lump after lump until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                size = min(max(_LUMP, len(self._waiting) // 4), _LUMP_MAX, len(self._waiting))
                await self._store([self._waiting.popleft() for _ in range(size)])

    async def _store(self, lump: list[Submission]) -> None:
        """Store and publish a lump; a lump that fails for one request's data is halved until that one stands alone."""
        try:
            await self._commit(lump)
        except Unavailable as failure:
            _fail(lump, failure)
        # tidy: allow broad-except: whatever one request's data does, the loop that stores everybody's outlives it
        except Exception:
            if len(lump) > 1:
                middle = len(lump) // 2
                await self._store(lump[:middle])
                await self._store(lump[middle:])
            else:
                log.exception("request_not_storable")
                _fail(lump, InvariantBroken("a validated request can be stored"))
        finally:
            self.release([submission.key for submission in lump])

    async def _commit(self, lump: list[Submission]) -> None:
        lump.sort(key=lambda submission: submission.key)
        now = self._clock()
        requested_at = to_rfc3339(now)
        rows = [self._number(submission, requested_at) for submission in lump]
        # Registered before the commit: an outcome must not come and find nobody.
        for submission in lump:
            self._waiters.expect(submission.transfer_id, submission.answer)
        reached("gateway.intake_before_commit")
        try:
            known = await self._insert(lump, rows, now)
        except BaseException:
            for submission in lump:
                self._waiters.drop(submission.transfer_id)
            raise
        reached("gateway.intake_after_commit")
        INTAKE_LUMP.observe(len(lump))
        await self._publisher.send(
            [
                _message(submission, row, len(lump))
                for submission, row in zip(lump, rows, strict=True)
                if row.transfer_id not in known
            ]
        )
        for submission in lump:
            if submission.transfer_id not in known:
                self._waiters.end_after(submission.transfer_id, submission.answer, submission.wait_seconds)

    async def _insert(self, lump: list[Submission], rows: list[NewRequest], now: datetime) -> set[str]:
        """Insert the rows and settle those whose key was known. Returns the ids that were not stored.

        Nearly every key is new, and copies come in runs. A lump that meets one unawares is written for nothing, so the
        next ones are looked at.
        """
        async with self._connection.autocommit() as connection:
            if self._lumps_looked_at > 0:
                self._lumps_looked_at -= 1
            elif await _insert_after_deadlock(insert_new_requests, connection, rows, now):
                return set()
            stored = await _insert_after_deadlock(insert_requests, connection, rows, now)
            if stored == len(rows):
                return set()
            self._lumps_looked_at = _LOOK_AFTER_A_COPY
            kept = await find_by_keys(connection, [submission.key for submission in lump])
        known: set[str] = set()
        for submission in lump:
            earlier = kept[submission.key]
            if earlier.transfer_id != submission.transfer_id:
                known.add(submission.transfer_id)
                self._waiters.drop(submission.transfer_id)
                self.replay(submission, earlier)
        return known

    def replay(self, submission: Submission, earlier: StoredRequest) -> None:
        """Answer a copy from what is kept: its frozen outcome, or together with the first once there is one."""
        REPLAYS.inc()
        submission.stored = earlier
        if submission.answer.done():
            return
        outcome = self._waiters.newest(earlier.outcome)
        if earlier.body_hash != submission.body_hash:
            submission.answer.set_exception(_key_reused())
        elif outcome.version > 0 or submission.wait_seconds <= 0:
            submission.answer.set_result(outcome)
        else:
            self._waiters.expect(earlier.transfer_id, submission.answer)
            self._waiters.end_after(earlier.transfer_id, submission.answer, submission.wait_seconds)

    def _number(self, submission: Submission, requested_at: str) -> NewRequest:
        """Give a submission its id and time. Again at every try: a row may only ever be younger than its id."""
        submission.transfer_id = new_id()
        submission.accepted_at = requested_at
        return as_row(submission)


def as_row(submission: Submission, batch_id: str | None = None, batch_position: int | None = None) -> NewRequest:
    """Return a numbered submission as the row to be kept."""
    draft = submission.draft
    return NewRequest(
        submission.transfer_id,
        draft.actor_id,
        submission.scope,
        submission.idempotency_key,
        submission.body_hash,
        batch_id,
        batch_position,
        _encode(draft.command(submission.transfer_id, submission.accepted_at)),
        draft.memo,
        draft.memo_salt,
    )


def _message(submission: Submission, row: NewRequest, lump_size: int) -> Outgoing:
    """Return a durable request as the message to send; if it is traced, that ends its span."""
    span = submission.span
    if span is None:
        return transfer_requested(row.principal_id, row.transfer_id, row.command)
    note_work(span, row.transfer_id, lump_size)
    span.end()
    return transfer_requested(row.principal_id, row.transfer_id, row.command, traceparent_of(span))


async def _insert_after_deadlock(
    insert: Callable[[asyncpg.Connection, list[NewRequest], datetime], Awaitable[_Inserted]],
    connection: asyncpg.Connection,
    rows: list[NewRequest],
    now: datetime,
) -> _Inserted:
    for last_try in (False,) * (_TRIES - 1) + (True,):
        try:
            return await insert(connection, rows, now)
        except asyncpg.DeadlockDetectedError:
            if last_try:
                raise
    raise InvariantBroken("a loop with a last try ends there")


def _in_progress() -> Conflict:
    return Conflict(
        "request_in_progress", "The first request with this key is being stored; try again.", retry_after_seconds=1
    )


def _key_reused() -> Unprocessable:
    return Unprocessable(
        "idempotency_key_reused", "This key was used for another request; use a new key for a new request."
    )


def _fail(lump: Sequence[Submission], failure: Exception) -> None:
    for submission in lump:
        if not submission.answer.done():
            submission.answer.set_exception(failure)
