"""The transactional outbox: one row a transaction, published from memory, deleted later, swept after a crash.

The row commits with the business. Then the same process publishes exactly that row from memory. Once the broker has
acknowledged, the row's deletion rides on the next insert, or on a flush when nothing follows. What a crash left behind
is published by whoever holds the lease: a row with an expiry, because a stopped process would keep an advisory lock.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
import msgspec
import structlog

from libs.common.clock import monotonic_seconds
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.ids import new_id
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
        self._schema = schema
        self._holder = new_id()
        self._in_flight: set[str] = set()
        self._finished: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self._looked_at = monotonic_seconds()
        self.insert_sql: Final = _INSERT.replace("{schema}", schema)
        self._flush_sql = _FLUSH.replace("{schema}", schema)
        self._lease_sql = _LEASE.replace("{schema}", schema)
        self._left_sql = _LEFT.replace("{schema}", schema)

    def row(self, batch: Sequence[Outgoing]) -> OutboxRow:
        """Pack the messages of one transaction."""
        return OutboxRow(row_id=new_id(), payload=_pack(batch), messages=batch)

    async def insert(self, connection: asyncpg.Connection, row: OutboxRow) -> None:
        """Write the row inside the caller's transaction and delete those acknowledged since."""
        finished, self._finished = self._finished, []
        try:
            await connection.execute(self.insert_sql, row.row_id, row.payload, finished)
        except BaseException:
            self._finished += finished
            raise
        # If the transaction rolls back after this, the deletions return with it: the sweeper sends those again.

    def take_finished(self) -> list[str]:
        """Hand over the ids of acknowledged rows to somebody who deletes them in his own statement."""
        finished, self._finished = self._finished, []
        return finished

    async def publish(self, row: OutboxRow) -> None:
        """Send a committed row. Returns at once; the row is deleted when the broker has acknowledged."""
        self._in_flight.add(row.row_id)
        acknowledged = await self._publisher.send(row.messages)
        acknowledged.add_done_callback(lambda future: self._note(row.row_id, future))

    def _note(self, row_id: str, acknowledged: asyncio.Future[None]) -> None:
        self._in_flight.discard(row_id)
        if not acknowledged.cancelled() and acknowledged.exception() is None:
            self._finished.append(row_id)

    async def start(self) -> None:
        """Publish what an earlier process left, then keep looking."""
        self._looked_at = monotonic_seconds()
        self._task = asyncio.create_task(self._keep_sweeping(), name=f"{self._schema}-outbox")

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
        finished, self._finished = self._finished, []
        try:
            async with self._connection.autocommit() as connection:
                await connection.execute(self._flush_sql, finished)
        except BaseException:
            self._finished += finished
            raise

    async def _sweep(self, *, everything: bool) -> None:
        """Publish one page of rows that nobody here has in flight; at start also young ones."""
        async with self._connection.autocommit() as connection:
            if await connection.fetchval(self._lease_sql, self._holder, _LEASE_SECONDS) is None:
                return
            known = [*self._in_flight, *self._finished]
            left = await connection.fetch(self._left_sql, known, everything, _OLDER_THAN_SECONDS, _PAGE)
        for row_id, payload in left:
            if row_id in self._in_flight or row_id in self._finished:
                continue
            OUTBOX_SWEPT.labels(self._schema).inc()
            await self.publish(OutboxRow(row_id=row_id, payload=payload, messages=_unpack(payload)))
