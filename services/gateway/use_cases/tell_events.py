"""Hand events to those who are connected to this process: what they missed from the table, then what comes.

One look at the table, four times a second while anybody is connected, serves all streams of a process. Nothing is kept
here that the table has not, so any process resumes any stream.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from datetime import timedelta
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.db.hot import HotConnection
from libs.common.errors import TooManyRequests, Unavailable
from services.gateway.domain.events import KEPT_FOR
from services.gateway.metrics import STREAMS
from services.gateway.store.events import EventHead, KeptEvent, load_events, load_events_of, load_head, register_reader

log = structlog.get_logger()

PER_USER_MAX: Final = 5
"""Most streams of one user in one process."""
ALL_MAX: Final = 1_000
"""Most streams of one process."""
WAITING_MAX: Final = 1_000
"""Most events that wait for one reader; who lets more come up is dropped, and resumes when he can."""
_PAGE: Final = 200
_LOOK_SECONDS: Final = 0.25
_RETRY_SECONDS: Final = 5
_SPARE: Final = timedelta(days=2)
"""Longer than any stream lasts: who leaves has the whole time events are kept to come back."""


class EventStream:
    """One reader's stream. `has_gap` tells that events between where he resumes and here may be gone."""

    def __init__(self, user_id: str, types: Collection[str], account_ids: Collection[str]) -> None:
        """Serve this user, events of these types about these accounts; empty is any."""
        self.user_id = user_id
        self.position = 0
        """All of his events up to this one were handed out."""
        self.has_gap = False
        self.is_dropped = False
        self._types = frozenset(types)
        self._account_ids = frozenset(account_ids)
        self._waiting: deque[KeptEvent] = deque()
        self._missed_up_to = 0
        self._seen_up_to = 0
        self._woken = asyncio.Event()

    def start_at(self, position: int, live_from: int, *, has_gap: bool) -> None:
        """Begin after `position`; what is above `live_from` will be handed over."""
        self.position, self._missed_up_to, self._seen_up_to, self.has_gap = position, live_from, live_from, has_gap

    def take(self, event: KeptEvent) -> None:
        """Keep an event until it is asked for."""
        if event.position > max(self.position, self._missed_up_to) and self.wants(event):
            self._waiting.append(event)
            self.is_dropped = self.is_dropped or len(self._waiting) > WAITING_MAX
            self._woken.set()

    def has_seen(self, position: int) -> None:
        """Note that no event up to this position is still to be handed over."""
        self._seen_up_to = position

    def wants(self, event: KeptEvent) -> bool:
        """Tell whether the filters let it pass."""
        return (not self._types or event.type in self._types) and (
            not self._account_ids or not self._account_ids.isdisjoint(event.account_ids)
        )

    async def next(self, connection: HotConnection, patience_seconds: float) -> list[KeptEvent]:
        """Return the next events, or none when `patience_seconds` brought none. Raises: Unavailable."""
        if self.position < self._missed_up_to:
            return await self._missed(connection)
        self._woken.clear()
        if not self._waiting:
            try:
                async with asyncio.timeout(patience_seconds):
                    await self._woken.wait()
            except TimeoutError:
                self.position = max(self.position, self._seen_up_to)
                return []
        found = [self._waiting.popleft() for _ in range(min(_PAGE, len(self._waiting)))]
        self.position = found[-1].position if found else self.position
        return found

    def leave(self) -> None:
        """Wait no longer: the reader has gone."""
        self._woken.set()

    async def _missed(self, connection: HotConnection) -> list[KeptEvent]:
        async with connection.autocommit() as database:
            page = await load_events(
                database, self.user_id, beyond=self.position, up_to=self._missed_up_to, limit=_PAGE
            )
        self.position = page[-1].position if len(page) == _PAGE else self._missed_up_to
        return [event for event in page if self.wants(event)]


class EventStreams:
    """The streams of this process."""

    def __init__(self, connection: HotConnection, clock: Clock) -> None:
        """Use a connection of its own."""
        self.connection = connection
        self._clock = clock
        self._streams: set[EventStream] = set()
        self._of_user: dict[str, int] = {}
        self._tail = 0
        """Up to where the streams have been handed all there is."""
        self._ahead = 0
        """Up to where a look under way goes: whoever comes meanwhile reads that much himself."""
        self._somebody = asyncio.Event()

    async def open(
        self, user_id: str, last_position: int | None, types: Collection[str], account_ids: Collection[str]
    ) -> EventStream:
        """Begin a stream after this position, or with what happens from now on. The caller closes it.

        Raises: TooManyRequests too_many_streams, Unavailable.
        """
        stream = EventStream(user_id, types, account_ids)
        self._reserve(stream)
        try:
            now = self._clock()
            async with self.connection.autocommit() as database:
                since = await register_reader(database, user_id, now, now + KEPT_FOR + _SPARE)
                head = await load_head(database)
        except BaseException:
            self.close(stream)
            raise
        # From here nothing is awaited, so no event comes between this look at the head and the first one handed over.
        if not self._somebody.is_set():
            self._tail = self._ahead = head.position
            self._somebody.set()
        position = head.position if last_position is None else min(last_position, head.position)
        has_gap = last_position is not None and _has_gap(last_position, since, head)
        stream.start_at(position, self._ahead, has_gap=has_gap)
        self._streams.add(stream)
        return stream

    def close(self, stream: EventStream) -> None:
        """Forget a stream and give its place to another."""
        self._streams.discard(stream)
        left = self._of_user[stream.user_id] - 1
        self._of_user[stream.user_id] = left
        if not left:
            del self._of_user[stream.user_id]
        if not self._streams:
            self._somebody.clear()
        STREAMS.set(len(self._streams))

    async def run(self) -> None:
        """Hand over what comes, for ever."""
        while True:
            await self._somebody.wait()
            try:
                await self._look()
            except Unavailable as reason:
                log.warning("streams_wait", code=reason.code)
            await asyncio.sleep(_LOOK_SECONDS)

    def _reserve(self, stream: EventStream) -> None:
        streams = self._of_user.get(stream.user_id, 0)
        if streams >= PER_USER_MAX or sum(self._of_user.values()) >= ALL_MAX:
            raise TooManyRequests(
                "too_many_streams",
                f"At most {PER_USER_MAX} streams at a time; end another, or try again.",
                limit_count=PER_USER_MAX,
                retry_after_seconds=_RETRY_SECONDS,
            )
        self._of_user[stream.user_id] = streams + 1
        STREAMS.set(len(self._streams) + 1)

    async def _look(self) -> None:
        """Hand over all that is new; positions become visible in their order, so nothing comes below the head later."""
        async with self.connection.autocommit() as database:
            head = await load_head(database)
        self._ahead = max(self._ahead, head.position)
        while self._tail < head.position and self._streams:
            user_ids = sorted({stream.user_id for stream in self._streams})
            async with self.connection.autocommit() as database:
                page = await load_events_of(
                    database, user_ids, beyond=self._tail, up_to=head.position, limit=WAITING_MAX
                )
            self._tail = page[-1].position if len(page) == WAITING_MAX else head.position
            for stream in self._streams:
                for event in page:
                    if event.user_id == stream.user_id:
                        stream.take(event)
                stream.has_seen(self._tail)


def _has_gap(last_position: int, since: int, head: EventHead) -> bool:
    """Tell whether events above this position may not have been kept, or not any more; or it is none of ours."""
    return last_position < max(since, head.pruned_to) or last_position > head.position
