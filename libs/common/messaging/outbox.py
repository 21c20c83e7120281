"""The transactional outbox: one row a transaction, published from memory, deleted later, swept after a crash.

The row commits with the business. Then the same process publishes exactly that row from memory. Once the broker has
acknowledged, the row's deletion rides on the next insert, or on a flush when nothing follows. What a crash left behind
is published by whoever holds the lease: a row with an expiry, because a stopped process would keep an advisory lock.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg
import msgspec
import structlog

from libs.common.clock import monotonic_seconds
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from libs.common.loops import say_when_it_ends
from libs.common.messaging.outgoing_message import Outgoing
from libs.common.messaging.publisher import Publisher
from libs.common.telemetry.metrics import OUTBOX_SWEPT

log = structlog.get_logger()

_SWEEP_SECONDS: Final = 1.0
_LEASE_SECONDS: Final = 4.0
_OLDER_THAN_SECONDS: Final = 3.0
_PAGE: Final = 20
_SILENT_SECONDS: Final = 5.0

# One statement: the deletion of what was acknowledged since costs no round trip of its own.
_INSERT: Final = (
    "WITH finished AS (DELETE FROM {schema}.outbox WHERE row_id = ANY($3::uuid[]))"
    " INSERT INTO {schema}.outbox (row_id, payload) VALUES ($1, $2)"
)
_FLUSH: Final = "DELETE FROM {schema}.outbox WHERE row_id = ANY($1::uuid[])"
_LEASE: Final = (
    "UPDATE {schema}.outbox_lease SET holder = $1, expires_at = now() + make_interval(secs => $2)"
    " WHERE holder = $1 OR expires_at < now() RETURNING true"
)
_LEFT: Final = (
    "SELECT row_id::text, payload FROM {schema}.outbox WHERE NOT row_id = ANY($1::uuid[])"
    " AND ($2 OR recorded_at < now() - make_interval(secs => $3)) ORDER BY row_id LIMIT $4"
)

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Outgoing]).decode


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """All messages of one transaction, packed for the table and still at hand for publishing."""

    row_id: str
    payload: bytes
    messages: Sequence[Outgoing]


class Outbox:
    """A service's outbox. `insert` inside the transaction, `publish` after the commit; the rest happens by itself."""

    def __init__(self, schema: str, publisher: Publisher, connection: HotConnection) -> None:
        """Use a connection of its own for sweeping and flushing."""
        self._publisher = publisher
        self._connection = connection
        self.schema = schema
        self._holder = new_id()
        self._ours: set[str] = set()  # published here and not yet known to be deleted: the sweeper leaves these alone
        self._finished: list[str] = []  # those of them that are acknowledged, and that nobody is deleting
        self._task: asyncio.Task[None] | None = None
        self._looked_at = monotonic_seconds()
        self._insert_sql = _INSERT.replace("{schema}", schema)
        self._flush_sql = _FLUSH.replace("{schema}", schema)
        self._lease_sql = _LEASE.replace("{schema}", schema)
        self._left_sql = _LEFT.replace("{schema}", schema)

    def row(self, batch: Sequence[Outgoing]) -> OutboxRow:
        """Pack the messages of one transaction."""
        return OutboxRow(row_id=new_id(), payload=_pack(batch), messages=batch)

    async def insert(self, connection: asyncpg.Connection, row: OutboxRow) -> None:
        """Write the row inside the caller's transaction and delete those acknowledged since."""
        with self.finished() as finished:
            await connection.execute(self._insert_sql, row.row_id, row.payload, finished)
        # If the transaction rolls back after this, the deletions return with it: the sweeper sends those again.

    @contextmanager
    def finished(self) -> Iterator[list[str]]:
        """Lend the ids of acknowledged rows to the one statement that deletes them; if it fails, they come back.

        They may be gone although it failed, when its connection was lost. Deleting them again does no harm.
        """
        lent, self._finished = self._finished, []
        try:
            yield lent
        except BaseException:
            self._finished += lent
            raise
        self._ours.difference_update(lent)

    async def publish(self, row: OutboxRow) -> None:
        """Send a committed row. Returns at once; the row is deleted when the broker has acknowledged."""
        self._ours.add(row.row_id)
        acknowledged = await self._publisher.send(row.messages)
        acknowledged.add_done_callback(lambda future: self._note(row.row_id, future))

    def _note(self, row_id: str, acknowledged: asyncio.Future[None]) -> None:
        if not acknowledged.cancelled() and acknowledged.exception() is None:
            self._finished.append(row_id)
        else:
            self._ours.discard(row_id)

    async def start(self) -> None:
        """Publish what an earlier process left, then keep looking."""
        self._looked_at = monotonic_seconds()
        self._task = say_when_it_ends(asyncio.create_task(self._keep_sweeping(), name=f"{self.schema}-outbox"))

    def what_is_wrong(self) -> str | None:
        """Return why rows are no longer swept, or None; it looks every second, so it knows of a silent database."""
        if self._task is None:
            return None
        if not self._task.done():
            silent = monotonic_seconds() - self._looked_at
            return f"the database has not answered for {silent:.0f} s" if silent > _SILENT_SECONDS else None
        failure = None if self._task.cancelled() else self._task.exception()
        return f"the outbox's sweeper has ended: {failure!r}"

    async def stop(self) -> None:
        """Delete what is acknowledged and stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._flush()
        except Unavailable:
            log.info("outbox_left", rows=len(self._finished))

    async def _keep_sweeping(self) -> None:
        first = True
        while True:
            try:
                await self._flush()
                await self._sweep(everything=first)
                first = False
                self._looked_at = monotonic_seconds()
            except Unavailable as reason:
                log.warning("outbox_sweep_postponed", code=reason.code)
            await asyncio.sleep(_SWEEP_SECONDS)

    async def _flush(self) -> None:
        if not self._finished:
            return
        with self.finished() as finished:
            async with self._connection.autocommit() as connection:
                await connection.execute(self._flush_sql, finished)

    async def _sweep(self, *, everything: bool) -> None:
        """Publish one page of rows that this process has not published itself; at start also young ones."""
        async with self._connection.autocommit() as connection:
            if await connection.fetchval(self._lease_sql, self._holder, _LEASE_SECONDS) is None:
                return
            left = await connection.fetch(self._left_sql, [*self._ours], everything, _OLDER_THAN_SECONDS, _PAGE)
        for row_id, payload in left:
            if row_id in self._ours:
                continue
            OUTBOX_SWEPT.labels(self.schema).inc()
            await self.publish(OutboxRow(row_id=row_id, payload=payload, messages=_unpack(payload)))


async def leave_messages(connection: asyncpg.Connection, schema: str, batch: Sequence[Outgoing]) -> None:
    """Leave messages for the running service to publish, from a process that has no bus; it finds them in seconds."""
    await connection.execute(f"INSERT INTO {schema}.outbox (row_id, payload) VALUES ($1, $2)", new_id(), _pack(batch))  # noqa: S608 -- the schema's name stands in the code
