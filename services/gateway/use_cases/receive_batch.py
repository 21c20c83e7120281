"""Take in a file of transfers as it comes: read, checked and kept in pieces, so that no file is ever held whole."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.audit import AskedFrom
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict, TooManyRequests, Unprocessable
from libs.common.ids import first_id_at, new_id
from services.gateway.domain.batch_files import BatchFile, FileKind, FileLine
from services.gateway.store.batch_volumes import DAY, Volume, add_volume, find_volume
from services.gateway.store.batches import (
    Batch,
    add_batch,
    add_piece,
    count_open,
    drop_ended_lines,
    drop_left_over,
    drop_upload,
    find_batch_by_key,
    lock_principal,
)

OPEN_MAX: Final = 5
"""Batches of one principal that are not finished."""
_PIECE_LINES: Final = 500
_LEFT_OVER: Final = timedelta(hours=1)
"""An upload takes minutes at most; what is older and no batch's was never finished."""
_LINES_KEPT: Final = timedelta(days=30)
"""How long after its end the lines of a batch, and what became of each, can be asked for."""


@dataclass(frozen=True, slots=True)
class Received:
    """A batch that is durable."""

    batch: Batch
    is_replay: bool


class ReceiveBatch:
    """Keeps files of transfers."""

    def __init__(self, connection: HotConnection, clock: Clock) -> None:
        """Use a connection of its own."""
        self._connection = connection
        self._clock = clock

    async def __call__(
        self, principal_id: str, key: str, kind: FileKind, body: AsyncIterator[bytes], asked_from: AskedFrom
    ) -> Received:
        """Keep the file whole, or nothing of it.

        Idempotent by: the key; another file under it is refused. Raises: Unprocessable (batch_file_unreadable,
        batch_file_empty, batch_file_too_long, idempotency_key_reused), Conflict too_many_batches, TooManyRequests
        batch_volume_exceeded, Unavailable.
        """
        batch_id = new_id()
        file = BatchFile(kind, batch_id)
        try:
            known, sent = await self._known(principal_id, key)
            writer = _Pieces(self._connection, batch_id, keeps=known is None)
            async for data in body:
                await writer.add(file.feed(data))
                if known is None and not sent.has_room(file.count, file.size):
                    raise _too_much(sent, self._clock())
            await writer.add(file.end())
            await writer.end()
            now = self._clock()
            batch = Batch(batch_id, principal_id, file.digest(), file.count, writer.number, "queued", now, None)
            return await self._keep(batch, key, file.size, asked_from)
        except BaseException:
            async with self._connection.autocommit() as connection:
                await drop_upload(connection, batch_id)
            raise

    async def sweep(self) -> None:
        """Forget files that never came whole, and the lines of batches that ended 30 days ago; their counts stay."""
        async with self._connection.autocommit() as connection:
            await drop_left_over(connection, first_id_at(self._clock() - _LEFT_OVER))
        while await self._drop_ended():
            pass

    async def _drop_ended(self) -> bool:
        # tidy: allow commit-outside-unit-of-work: nothing is emitted; a batch at a time, so that uploads get through
        async with self._connection.transaction() as connection:
            return await drop_ended_lines(connection, self._clock() - _LINES_KEPT)

    async def _known(self, principal_id: str, key: str) -> tuple[Batch | None, Volume]:
        async with self._connection.autocommit() as connection:
            known = await find_batch_by_key(connection, principal_id, key)
            if known is None and await count_open(connection, principal_id) >= OPEN_MAX:
                raise _too_many()
            return known, await find_volume(connection, principal_id, self._clock())

    async def _keep(self, batch: Batch, key: str, size: int, asked_from: AskedFrom) -> Received:
        # tidy: allow commit-outside-unit-of-work: nothing is emitted; the batch is worked through from its own rows
        async with self._connection.transaction() as connection:
            await lock_principal(connection, batch.principal_id)
            known = await find_batch_by_key(connection, batch.principal_id, key)
            if known is None:
                if await count_open(connection, batch.principal_id) >= OPEN_MAX:
                    raise _too_many()
                now = batch.created_at
                if not await add_volume(connection, batch.principal_id, batch.lines, size, now):
                    raise _too_much(await find_volume(connection, batch.principal_id, now), now)
                await add_batch(connection, batch, key, asked_from)
                return Received(batch, is_replay=False)
            await drop_upload(connection, batch.batch_id)
        if known.body_hash != batch.body_hash:
            raise Unprocessable(
                "idempotency_key_reused", "This key was used for another request; use a new key for a new request."
            )
        return Received(known, is_replay=True)


class _Pieces:
    """Writes lines in pieces as they come; a copy of a known file is only read."""

    def __init__(self, connection: HotConnection, batch_id: str, *, keeps: bool) -> None:
        self._connection = connection
        self._batch_id = batch_id
        self._keeps = keeps
        self._waiting: list[FileLine] = []
        self.number = 0
        """How many have been written."""

    async def add(self, lines: Iterable[FileLine]) -> None:
        for line in lines:
            self._waiting.append(line)
            if len(self._waiting) >= _PIECE_LINES:
                await self.end()

    async def end(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        if waiting and self._keeps:
            async with self._connection.autocommit() as connection:
                await add_piece(connection, self._batch_id, self.number, waiting)
            self.number += 1


def _too_many() -> Conflict:
    return Conflict("too_many_batches", f"Up to {OPEN_MAX} batches may be under way; wait until one is done.")


def _too_much(sent: Volume, now: datetime) -> TooManyRequests:
    return TooManyRequests(
        "batch_volume_exceeded",
        "Your files may have a million transfers and 256 MiB a day together; send this one when the day is over.",
        retry_after_seconds=ceil((sent.since + DAY - now).total_seconds()),
    )
