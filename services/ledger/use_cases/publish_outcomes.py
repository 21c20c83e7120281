"""Tell the bus what the journal says, in its order, and remember how far the broker has confirmed.

The journal is the outbox: its records are dense and for ever, so one number, the mark, says what was published. Usually
a batch goes out from memory right after its commit. When that fails, or another process wrote in between, or this one
has just started, everything from the mark on is read back from the tables and sent again; a trace ends there.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.messaging.outgoing_message import Outgoing
from services.ledger.domain.run import Answer, CommandAnswer
from services.ledger.domain.transfer import Transfer
from services.ledger.messages import answer_message
from services.ledger.metrics import UNPUBLISHED_RECORDS
from services.ledger.store.heads import advance_mark, load_mark
from services.ledger.store.outcomes import load_outcomes

_PAGE: Final = 1_000
_IN_FLIGHT_MAX: Final = 16
_FLUSH_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.5

log = structlog.get_logger()


class Sender(Protocol):
    """The part of the bus this needs."""

    async def send(self, batch: Sequence[Outgoing]) -> "asyncio.Future[None]":
        """Queue the messages in order; the future resolves once the broker has confirmed all of them."""
        ...


class PublishOutcomes:
    """Publishes one shard's outcomes. `confirmed_size` is the mark: the broker has all records before it."""

    def __init__(self, hot: HotConnection, sender: Sender, shard: int) -> None:
        """Use a connection of its own, so that the writer never waits for it."""
        self._hot = hot
        self._sender = sender
        self._shard = shard
        self.confirmed_size = 0
        self._stored_size = 0  # the mark as the database has it, as far as we know
        self._committed_size = 0  # the journal's end, as far as we know
        self._sent_size = 0  # what went out from memory, without a gap after confirmed_size
        self._in_flight: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._catching_up: asyncio.Task[None] | None = None
        self._flushing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the mark, begin to publish what a predecessor left behind, and keep the mark stored when idle."""
        async with self._hot.autocommit() as connection:
            self.confirmed_size, self._committed_size = await load_mark(connection, self._shard)
        self._stored_size = self._sent_size = self.confirmed_size
        if self.confirmed_size < self._committed_size:
            self._begin_catching_up()
        self._flushing = asyncio.create_task(self._keep_flushing(), name="ledger-mark")

    async def stop(self) -> None:
        """Wait for what is on its way, within reason, and store the mark."""
        for task in (self._catching_up, self._flushing):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        pending = [future for _, future in self._in_flight]
        if pending:
            await asyncio.wait(pending, timeout=_FLUSH_SECONDS)
        with contextlib.suppress(Unavailable):  # the successor starts from an older mark and repeats more
            await self.flush()

    async def publish(self, messages: Sequence[Outgoing], *, first: int, size: int, marked: int) -> None:
        """Send a batch's answers after its commit, which wrote the records `first` to `size` and the mark `marked`.

        Answers given again go along; when the sending fails those are lost, and whoever asked asks again.
        """
        self._stored_size = max(self._stored_size, marked)
        self._committed_size = max(self._committed_size, size)
        while self._catching_up is None and len(self._in_flight) >= _IN_FLIGHT_MAX:
            await asyncio.wait([self._in_flight[0][1]])
        if self._catching_up is not None or first != self._sent_size:
            self._begin_catching_up()  # it finds this batch in the tables
            return
        self._sent_size = size
        future = await self._sender.send(messages)
        # Catching up may have begun meanwhile: what it has not published yet must not count as confirmed.
        if self._catching_up is None:
            self._in_flight.append((size, future))
        future.add_done_callback(self._confirmed)

    async def tell(self, messages: Sequence[Outgoing]) -> None:
        """Send what is committed and is told a second time whatever becomes of this, such as audit entries."""
        await self._sender.send(messages)

    async def repeat(self, answers: Sequence[Answer]) -> None:
        """Send answers that were given before; whoever does not get one asks again."""
        await self._sender.send([answer_message(answer, self._shard) for answer in answers])

    async def repeat_states(self, answers: Sequence[Answer], *, before: int) -> None:
        """Send again what commands brought about that were done before this record: the states, by their records.

        An answer and the state go to different partitions, so one may have been lost without the other. Raises:
        Unavailable.
        """
        for answer in answers:
            records = _records_of(answer)
            if answer.journal_index < before and records:
                async with self._hot.autocommit() as connection:
                    told = await load_outcomes(connection, self._shard, answer.journal_index, records)
                await self._sender.send([answer_message(each, self._shard) for each in told])

    async def flush(self) -> None:
        """Store the mark if it grew. Raises: Unavailable."""
        confirmed = self.confirmed_size
        if confirmed > self._stored_size:
            async with self._hot.autocommit() as connection:
                await advance_mark(connection, self._shard, confirmed)
            self._stored_size = max(self._stored_size, confirmed)

    def _confirmed(self, future: "asyncio.Future[None]") -> None:
        failed = future.cancelled() or future.exception() is not None
        while self._in_flight and self._in_flight[0][1].done():
            size, oldest = self._in_flight[0]
            if oldest.cancelled() or oldest.exception() is not None:
                break
            self._in_flight.popleft()
            self.confirmed_size = max(self.confirmed_size, size)
        UNPUBLISHED_RECORDS.labels(self._shard).set(self._committed_size - self.confirmed_size)
        if failed and any(future is waiting for _, waiting in self._in_flight):
            log.warning("outcomes_not_confirmed", cause=str(None if future.cancelled() else future.exception()))
            self._begin_catching_up()

    def _begin_catching_up(self) -> None:
        if self._catching_up is None:
            self._in_flight.clear()
            self._catching_up = asyncio.create_task(self._catch_up(), name="ledger-catch-up")
            self._catching_up.add_done_callback(_report)

    async def _catch_up(self) -> None:
        """Publish from the tables until nothing is left; batches committed meanwhile are found there too."""
        log.info("outcomes_catching_up", first=self.confirmed_size, size=self._committed_size)
        while self.confirmed_size < self._committed_size:
            try:
                await self._publish_page()
            except Unavailable as failure:
                log.warning("outcomes_catching_up_waits", cause=str(failure))
                await asyncio.sleep(_PAUSE_SECONDS)
        self._sent_size = self.confirmed_size
        self._catching_up = None

    async def _publish_page(self) -> None:
        async with self._hot.autocommit() as connection:
            page = await load_outcomes(connection, self._shard, self.confirmed_size, _PAGE)
        if not page:
            raise Unavailable("journal_behind", "The database does not show yet what was committed.")
        future = await self._sender.send([answer_message(answer, self._shard) for answer in page])
        await future
        self.confirmed_size = max(self.confirmed_size, page[-1].journal_index + 1)

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            with contextlib.suppress(Unavailable):  # it is tried again in a second, and rides on the next commit
                await self.flush()


def _records_of(answer: Answer) -> int:
    """Return how many records the effect of a command has; 0 for what is no command's, or had no effect.

    A reversal's own record is followed by that of the transfer it reverses.
    """
    if isinstance(answer, CommandAnswer):
        return 1 if answer.status == "done" else 0
    return 2 if isinstance(answer, Transfer) and answer.reverses and answer.status == "posted" else 0


def _report(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("outcomes_catching_up_failed", exc_info=task.exception())
