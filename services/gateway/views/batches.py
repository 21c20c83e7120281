"""How far a file of transfers has been carried out, and what became of each line."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import asyncpg

from libs.common.db.hot import HotConnection
from services.gateway.domain.outcomes import accepted
from services.gateway.store.batches import Batch, count_outcomes, find_batch, read_batches_of, read_piece
from services.gateway.store.transfers import load_outcomes


@dataclass(frozen=True, slots=True)
class Progress:
    """A batch, and how many of its transfers have each status; `failed` is what never became a transfer."""

    batch: Batch
    counts: dict[str, int]

    def cancelled_lines(self) -> int:
        """Return how many lines never will be taken."""
        return self.batch.lines - sum(self.counts.values()) if self.batch.status == "cancelled" else 0


class LineResult(NamedTuple):
    """What became of a line: `waiting` until it is taken, `failed` with a code if it never became a transfer."""

    line: int
    idempotency_key: str
    transfer_id: str
    status: str
    code: str


class BatchView:
    """Looks batches up."""

    def __init__(self, connection: HotConnection) -> None:
        """Read over this connection."""
        self._connection = connection

    async def one(self, batch_id: str, principal_id: str) -> Progress | None:
        """Return somebody's batch; None if there is none such of his. Raises: Unavailable."""
        async with self._connection.autocommit() as connection:
            batch = await find_batch(connection, batch_id)
            if batch is None or batch.principal_id != principal_id:
                return None
            return await _progress(connection, batch)

    async def of(self, principal_id: str, *, before: int, limit: int) -> tuple[list[Progress], int | None]:
        """Return a page of his batches with ids below, newest first, and where the next begins. Raises: Unavailable."""
        async with self._connection.autocommit() as connection:
            found = await read_batches_of(connection, principal_id, before=UUID(int=before), limit=limit + 1)
            page = [await _progress(connection, batch) for batch in found[:limit]]
        return page, UUID(page[-1].batch.batch_id).int if len(found) > limit else None

    async def results(self, batch: Batch) -> AsyncIterator[list[LineResult]]:
        """Yield what became of the lines that are kept, in their order, a piece at a time. Raises: Unavailable."""
        for number in range(batch.pieces):
            yield await self._piece(batch, number)

    async def _piece(self, batch: Batch, number: int) -> list[LineResult]:
        async with self._connection.autocommit() as connection:
            piece = await read_piece(connection, batch.batch_id, number)
            if piece is None:
                return []
            known = [one for one in piece.transfer_ids or () if one is not None]
            outcomes = {outcome.transfer_id: outcome for outcome in await load_outcomes(connection, known)}
        if piece.transfer_ids is None:
            return [LineResult(one.line, one.item.idempotency_key, "", "waiting", "") for one in piece.lines]
        results = []
        for one, transfer_id in zip(piece.lines, piece.transfer_ids, strict=True):
            key = one.item.idempotency_key
            if transfer_id is None:
                results.append(LineResult(one.line, key, "", "failed", piece.failures[str(one.line)]))
            else:
                outcome = outcomes.get(transfer_id) or accepted(transfer_id)
                results.append(LineResult(one.line, key, transfer_id, outcome.status, outcome.code))
        return results


async def _progress(connection: asyncpg.Connection, batch: Batch) -> Progress:
    counts = batch.final_counts
    return Progress(batch, await count_outcomes(connection, batch.batch_id) if counts is None else counts)
