"""What one consumer group has to do with its dead letters: park, hold back, go on, and count a row of failures.

On a topic whose contract says so, later messages of a key wait behind a parked one and are handled in its place once it
is handled, or given up. Everywhere else the stream goes on without it.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, Protocol, TypeVar

import structlog
from aiokafka import ConsumerRecord, TopicPartition

from libs.common.contracts.base import Message
from libs.common.contracts.topics import Topic
from libs.common.errors import Conflict, InvariantBroken
from libs.common.messaging.park_message import DeadLetters, Parked
from libs.common.messaging.records import Place, Reader, Received, identify, place_of
from libs.common.messaging.standing_letters import Head, Standing
from libs.common.telemetry.metrics import PARKED_MESSAGES

log = structlog.get_logger()

_PARKED_IN_A_ROW_MAX: Final = 100
"""A bad deployment must stop the line, not drain the topic into the dead letters."""

Answer = TypeVar("Answer")


class Retry(Protocol):
    """Does work, again and again while something is away, and returns what it returned."""

    async def __call__(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do it."""


class LettersOfGroup:
    """The letters of a group, seen from its consumer. Whoever uses it does so one after the other."""

    def __init__(self, group: str, topic: Topic, dead_letters: DeadLetters, retry: Retry) -> None:
        """Know nothing yet: `learn` before the first message."""
        self.parked_in_a_row = 0
        self.is_learned = False
        self._group = group
        self._keeps_order = bool(topic.waits_because)
        self._dead_letters = dead_letters
        self._retry = retry
        self._reader = Reader(topic)
        self._standing = Standing()
        self._ready: deque[Head] = deque()

    async def learn(self, owned: Collection[TopicPartition]) -> None:
        """Read what stands in the table, and which queues of the partitions one owns may go on."""
        self._standing, heads = await self._retry(lambda: self._dead_letters.standing.load(self._group))
        self._ready = deque(
            head
            for head in heads
            if head.may_go_on and TopicPartition(head.record.topic, head.record.partition) in owned
        )
        self.is_learned = True

    async def free_of(self, batch: list[Received]) -> list[Received]:
        """Return what may be handled now: not what was given up, nor what another of its key comes before.

        That is parked, to be handled in its turn.
        """
        standing = self._standing
        if standing.is_empty():
            return batch
        free: list[Received] = []
        for received in batch:
            if received.message_id in standing.given_up:
                log.info("given_up_came_again", group=self._group, message_id=received.message_id)
            elif standing.waits(received):
                await self._keep(received.as_record(), received.message, _waits(), waits=True)
            else:
                free.append(received)
        return free

    async def park(self, record: ConsumerRecord[Any, Any], message: Message | None, cause: BaseException) -> None:
        """Set a message aside for a cause of its own. Raises: InvariantBroken when too many were, in a row."""
        if identify(record)[0] in self._standing.given_up:
            return
        self.parked_in_a_row += 1
        if self.parked_in_a_row > _PARKED_IN_A_ROW_MAX:
            raise InvariantBroken("too many messages in a row cannot be processed", in_a_row=self.parked_in_a_row)
        await self._keep(record, message, cause, waits=False)

    async def note_handled(self, batch: Sequence[Received]) -> None:
        """End the letters of what was parked and is handled now; what waited for it is ready."""
        self.parked_in_a_row = 0
        standing = self._standing
        if standing.is_empty():
            return
        places = {one.place: None for one in batch if standing.heads.get(one.place) == one.message_id}
        ids = {one.message_id for one in batch if one.message_id in standing.unhandled}
        ids |= {standing.heads[place] for place in places}
        if not ids:
            return
        await self._retry(lambda: self._dead_letters.standing.end(self._group, sorted(ids)))
        standing.unhandled -= ids
        for place in places:
            await self._move_up(place)

    async def next_ready(self) -> Received | None:
        """Return a message that waited and may be handled now, None when there is none."""
        while self._ready:
            head = self._ready.popleft()
            (found,) = self._reader.read(head.record)
            if isinstance(found, Received):
                return found
            await self.park(found.record, None, found.cause)
        return None

    async def _move_up(self, place: Place) -> None:
        head = await self._retry(lambda: self._dead_letters.standing.head_of(self._group, place))
        if head is None:
            self._standing.heads.pop(place, None)
            return
        self._standing.heads[place] = head.message_id
        if head.may_go_on:
            self._ready.append(head)

    async def _keep(
        self, record: ConsumerRecord[Any, Any], message: Message | None, cause: BaseException, *, waits: bool
    ) -> None:
        message_id, kind = identify(record)
        place = place_of(record)
        keeps_order = self._keeps_order and bool(place[1])
        parked = Parked(record, message_id, kind, message, cause, keeps_order, waits)
        if not await self._retry(lambda: self._dead_letters.park(self._group, parked)):
            self._standing.given_up.add(message_id)
            return
        if keeps_order:
            self._standing.heads.setdefault(place, message_id)
        PARKED_MESSAGES.labels(self._group, getattr(cause, "code", type(cause).__name__)).inc()
        if waits:
            log.warning("message_waits", group=self._group, topic=record.topic, offset=record.offset)
            return
        self._standing.unhandled.add(message_id)
        log.error("message_parked", group=self._group, topic=record.topic, offset=record.offset, cause=repr(cause))


def _waits() -> Conflict:
    return Conflict("waits_behind_parked", "An earlier message of its key is parked; it is handled after that one.")
