"""`gateway.batches` and `gateway.batch_pieces`: files of transfers, and how far each is carried out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from libs.common.contracts.audit import AskedFrom
from services.gateway.domain.batch_files import FileLine

_ADD_PIECE: Final = "INSERT INTO gateway.batch_pieces (batch_id, number, lines) VALUES ($1::uuid, $2, $3)"
_DROP_PIECES: Final = "DELETE FROM gateway.batch_pieces WHERE batch_id = $1::uuid"
# Not of a batch: whether it became one is unknown where the connection was lost while it was committed.
_DROP_UPLOAD: Final = _DROP_PIECES + " AND NOT EXISTS (SELECT FROM gateway.batches WHERE batch_id = $1::uuid)"
# Files that never came whole; a UUIDv7 sorts by time.
_DROP_LEFT_OVER: Final = """
DELETE FROM gateway.batch_pieces p
WHERE p.batch_id < $1::uuid AND NOT EXISTS (SELECT FROM gateway.batches b WHERE b.batch_id = p.batch_id)
"""
_LOCK_PRINCIPAL: Final = "SELECT pg_advisory_xact_lock(hashtextextended('gateway.batches ' || $1, 0))"
_COUNT_OPEN: Final = "SELECT count(*) FROM gateway.batches WHERE principal_id = $1::uuid AND finished_at IS NULL"
_ADD: Final = """
INSERT INTO gateway.batches (batch_id, principal_id, idempotency_key, body_hash, lines, pieces, created_at, worked_at,
    asked_from)
VALUES ($1::uuid, $2::uuid, $3, $4, $5, $6, $7, $7, $8)
"""
_COLUMNS: Final = """
SELECT batch_id::text, principal_id::text, body_hash, lines, pieces, status, created_at, finished_at, final_counts
FROM gateway.batches
"""
_BY_KEY: Final = _COLUMNS + "WHERE principal_id = $1::uuid AND idempotency_key = $2"
_BY_ID: Final = _COLUMNS + "WHERE batch_id = $1::uuid"
_PAGE: Final = (
    _COLUMNS + "WHERE principal_id = $1::uuid AND batch_id < $2::uuid ORDER BY principal_id, batch_id DESC LIMIT $3"
)
# Whoever has waited longest is next, so that a large file does not keep a small one waiting. The lease ends by itself:
# what a dead process held goes on in another, and doing a piece twice has one effect.
_TAKE: Final = """
UPDATE gateway.batches SET status = 'running', worked_at = $1,
    leased_until = $1::timestamptz + make_interval(secs => $2)
WHERE batch_id = (
    SELECT batch_id FROM gateway.batches
    WHERE finished_at IS NULL AND (leased_until IS NULL OR leased_until < $1)
    ORDER BY worked_at, batch_id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING batch_id::text, principal_id::text, asked_from
"""
_NEXT_PIECE: Final = """
SELECT number, lines FROM gateway.batch_pieces
WHERE batch_id = $1::uuid AND transfer_ids IS NULL ORDER BY number LIMIT 1
"""
_NOTE_PIECE: Final = """
UPDATE gateway.batch_pieces SET transfer_ids = $3::uuid[], failures = $4
WHERE batch_id = $1::uuid AND number = $2 AND transfer_ids IS NULL
"""
_RELEASE: Final = """
UPDATE gateway.batches SET leased_until = NULL WHERE batch_id = $1::uuid AND finished_at IS NULL
"""
_HOLD: Final = "SELECT finished_at IS NULL FROM gateway.batches WHERE batch_id = $1::uuid FOR UPDATE"
# A statement of its own: it must see what was committed while the row above was waited for.
_IS_OPEN: Final = "SELECT transfer_ids IS NULL FROM gateway.batch_pieces WHERE batch_id = $1::uuid AND number = $2"
_FINISH: Final = """
UPDATE gateway.batches SET status = $2, finished_at = $3, leased_until = NULL
WHERE batch_id = $1::uuid AND finished_at IS NULL
"""
_CANCEL: Final = """
UPDATE gateway.batches SET status = 'cancelled', finished_at = $3, leased_until = NULL
WHERE batch_id = $1::uuid AND principal_id = $2::uuid AND finished_at IS NULL
"""
# A statement of its own: it must see which pieces were kept while the row was waited for.
_DROP_UNTAKEN: Final = """
DELETE FROM gateway.batch_pieces p USING gateway.batches b
WHERE b.batch_id = $1::uuid AND b.status = 'cancelled' AND p.batch_id = b.batch_id AND p.transfer_ids IS NULL
"""
_HOLD_ENDED: Final = """
SELECT batch_id::text FROM gateway.batches WHERE finished_at < $1 AND final_counts IS NULL
ORDER BY finished_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_COUNT_AT_LAST: Final = "UPDATE gateway.batches SET final_counts = $2::jsonb WHERE batch_id = $1::uuid"
_COUNT: Final = """
SELECT coalesce(o.status, 'accepted') AS status, count(*)
FROM gateway.batch_pieces p CROSS JOIN unnest(p.transfer_ids) AS t(id)
LEFT JOIN gateway.outcomes o ON o.transfer_id = t.id
WHERE p.batch_id = $1::uuid AND t.id IS NOT NULL GROUP BY 1
UNION ALL
SELECT 'failed', coalesce(sum(cardinality(array_positions(transfer_ids, NULL))), 0)
FROM gateway.batch_pieces WHERE batch_id = $1::uuid
"""
_PIECE: Final = """
SELECT lines, transfer_ids::text[], failures FROM gateway.batch_pieces WHERE batch_id = $1::uuid AND number = $2
"""

_encode = msgspec.json.Encoder().encode
_decode_lines = msgspec.json.Decoder(list[FileLine]).decode
_decode_asked_from = msgspec.json.Decoder(AskedFrom).decode
_decode_counts = msgspec.json.Decoder(dict[str, int]).decode
_decode_failures = msgspec.json.Decoder(dict[str, str]).decode


@dataclass(frozen=True, slots=True)
class Batch:
    """A file of transfers. `status` is queued, running, done or cancelled.

    `final_counts`, how many lines had which status when they were dropped, are there once that is done.
    """

    batch_id: str
    principal_id: str
    body_hash: bytes
    lines: int
    pieces: int
    status: str
    created_at: datetime
    finished_at: datetime | None
    final_counts: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Some lines of it. Once done, `transfer_ids` are in their order, None where `failures` has line → code."""

    lines: Sequence[FileLine]
    transfer_ids: Sequence[str | None] | None
    failures: dict[str, str]


async def add_piece(connection: asyncpg.Connection, batch_id: str, number: int, lines: Sequence[FileLine]) -> None:
    """Keep some lines of a file that is still coming."""
    await connection.execute(_ADD_PIECE, batch_id, number, _encode(lines))


async def drop_upload(connection: asyncpg.Connection, batch_id: str) -> None:
    """Forget a file that was refused; one that is a batch stays."""
    await connection.execute(_DROP_UPLOAD, batch_id)


async def drop_left_over(connection: asyncpg.Connection, older_than_id: str) -> None:
    """Forget files that never came whole."""
    await connection.execute(_DROP_LEFT_OVER, older_than_id)


async def count_open(connection: asyncpg.Connection, principal_id: str) -> int:
    """Return how many batches of his are not finished."""
    return int(await connection.fetchval(_COUNT_OPEN, principal_id))


async def lock_principal(connection: asyncpg.Connection, principal_id: str) -> None:
    """Let nobody else add a batch of this principal's until the transaction ends."""
    await connection.execute(_LOCK_PRINCIPAL, principal_id)


async def add_batch(connection: asyncpg.Connection, batch: Batch, idempotency_key: str, asked_from: AskedFrom) -> None:
    """Keep a batch whose pieces are there."""
    await connection.execute(
        _ADD,
        batch.batch_id,
        batch.principal_id,
        idempotency_key,
        batch.body_hash,
        batch.lines,
        batch.pieces,
        batch.created_at,
        _encode(asked_from),
    )


async def find_batch_by_key(connection: asyncpg.Connection, principal_id: str, key: str) -> Batch | None:
    """Return what is kept under the key."""
    row = await connection.fetchrow(_BY_KEY, principal_id, key)
    return None if row is None else _batch(row)


async def find_batch(connection: asyncpg.Connection, batch_id: str) -> Batch | None:
    """Return a batch."""
    row = await connection.fetchrow(_BY_ID, batch_id)
    return None if row is None else _batch(row)


async def read_batches_of(
    connection: asyncpg.Connection, principal_id: str, *, before: UUID, limit: int
) -> list[Batch]:
    """Return a page of his batches with ids below `before`, newest first."""
    return [_batch(row) for row in await connection.fetch(_PAGE, principal_id, before, limit)]


class TakenBatch(NamedTuple):
    """A batch that is to be worked on: whose it is, and from where he sent it."""

    batch_id: str
    principal_id: str
    asked_from: AskedFrom


async def take_batch(connection: asyncpg.Connection, now: datetime, lease_seconds: float) -> TakenBatch | None:
    """Take the batch that has waited longest, for so long."""
    row = await connection.fetchrow(_TAKE, now, lease_seconds)
    return None if row is None else TakenBatch(row[0], row[1], _decode_asked_from(row[2]))


async def next_piece(connection: asyncpg.Connection, batch_id: str) -> tuple[int, list[FileLine]] | None:
    """Return (number, lines) of the first piece that is not done."""
    row = await connection.fetchrow(_NEXT_PIECE, batch_id)
    return None if row is None else (row[0], _decode_lines(row[1]))


async def note_piece(
    connection: asyncpg.Connection,
    batch_id: str,
    number: int,
    transfer_ids: Sequence[str | None],
    failures: dict[str, str],
) -> None:
    """Keep what became of a piece, once."""
    await connection.execute(_NOTE_PIECE, batch_id, number, list(transfer_ids), _encode(failures))


async def hold_open_piece(connection: asyncpg.Connection, batch_id: str, number: int) -> bool:
    """Tell whether a piece is still to be done; its batch neither ends nor goes on until the transaction ends."""
    is_open = await connection.fetchval(_HOLD, batch_id)
    return bool(is_open and await connection.fetchval(_IS_OPEN, batch_id, number))


async def release_batch(connection: asyncpg.Connection, batch_id: str) -> None:
    """Let whoever comes next go on with it."""
    await connection.execute(_RELEASE, batch_id)


async def finish_batch(connection: asyncpg.Connection, batch_id: str, status: str, now: datetime) -> None:
    """End a batch that is not ended yet."""
    await connection.execute(_FINISH, batch_id, status, now)


async def cancel_batch(connection: asyncpg.Connection, batch_id: str, principal_id: str, now: datetime) -> None:
    """End somebody's batch that is not ended yet, once nobody is keeping a piece of it; its other lines are dropped.

    In a transaction of its own.
    """
    if await connection.execute(_CANCEL, batch_id, principal_id, now) == "UPDATE 1":
        await connection.execute(_DROP_UNTAKEN, batch_id)


async def drop_ended_lines(connection: asyncpg.Connection, ended_before: datetime) -> bool:
    """Count the lines of the batch that ended first for the last time, and drop them; False: there is none so old.

    In a transaction of its own.
    """
    batch_id = await connection.fetchval(_HOLD_ENDED, ended_before)
    if batch_id is None:
        return False
    counts = await count_outcomes(connection, batch_id)
    await connection.execute(_COUNT_AT_LAST, batch_id, _encode(counts).decode())
    await connection.execute(_DROP_PIECES, batch_id)
    return True


async def count_outcomes(connection: asyncpg.Connection, batch_id: str) -> dict[str, int]:
    """Return how many transfers of the batch have each status; `failed` is what never became a transfer."""
    return {row[0]: int(row[1]) for row in await connection.fetch(_COUNT, batch_id)}


async def read_piece(connection: asyncpg.Connection, batch_id: str, number: int) -> Piece | None:
    """Return a piece: there is one for each number below the batch's `pieces`, unless it was dropped."""
    row = await connection.fetchrow(_PIECE, batch_id, number)
    if row is None:
        return None
    lines, transfer_ids, failures = row
    return Piece(_decode_lines(lines), transfer_ids, {} if failures is None else _decode_failures(failures))


def _batch(row: asyncpg.Record) -> Batch:
    found = Batch(*row)
    return found if row[-1] is None else replace(found, final_counts=_decode_counts(row[-1]))
