"""`gateway.transfers` and `gateway.outcomes`: requests go in by the lump, outcomes by the batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from services.gateway.domain.outcomes import Outcome, accepted
from services.gateway.store.outcome_rows import columns_of, outcome_from

# Whoever asks for a row's conflicts to be passed over makes PostgreSQL look twice and log twice: 12 µs instead of 9.
_INSERT_NEW = """
INSERT INTO gateway.transfers (transfer_id, principal_id, scope, idempotency_key, body_hash, command, memo, memo_salt,
    accepted_at)
SELECT r.*, $9::timestamptz FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::bytea[],
    $7::bytea[], $8::bytea[]) AS r
"""
_INSERT = """
WITH stored AS (
    INSERT INTO gateway.transfers (transfer_id, principal_id, scope, idempotency_key, body_hash, command, memo,
        memo_salt, batch_id, batch_position, accepted_at)
    SELECT r.*, $11::timestamptz FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::bytea[],
        $7::bytea[], $8::bytea[], $9::uuid[], $10::int[]) AS r
    ON CONFLICT ON CONSTRAINT transfers_idempotency_key_unique DO NOTHING
    RETURNING 1)
SELECT count(*) FROM stored
"""
_BY_KEYS = """
SELECT t.transfer_id::text, t.principal_id::text, t.scope, t.idempotency_key, t.body_hash, t.command, t.memo,
    o.status, o.version, o.code, o.reasons, o.facts, o.journal_index, o.occurred_at, o.settlement,
    o.attempts
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k(principal_id, scope, idempotency_key)
JOIN gateway.transfers t USING (principal_id, scope, idempotency_key)
LEFT JOIN gateway.outcomes o USING (transfer_id)
"""
_UPSERT_OUTCOMES = """
INSERT INTO gateway.outcomes AS o (transfer_id, status, version, code, reasons, facts, journal_index, occurred_at,
    settlement, attempts)
SELECT r.id, r.status, r.version, r.code, string_to_array(r.reasons, ','), r.facts, r.journal_index, r.at,
    r.settlement::jsonb, r.attempts
FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::bytea[], $7::bigint[], $8::text[],
    $9::text[], $10::smallint[])
    AS r(id, status, version, code, reasons, facts, journal_index, at, settlement, attempts)
ON CONFLICT ON CONSTRAINT outcomes_pkey DO UPDATE SET status = EXCLUDED.status, version = EXCLUDED.version,
    code = EXCLUDED.code, reasons = EXCLUDED.reasons, facts = EXCLUDED.facts,
    journal_index = EXCLUDED.journal_index, occurred_at = EXCLUDED.occurred_at, settlement = EXCLUDED.settlement,
    attempts = EXCLUDED.attempts
WHERE o.version < EXCLUDED.version AND o.settlement ->> 'resolver' IS DISTINCT FROM 'caller'
    AND o.status NOT IN ('posted', 'refused', 'blocked', 'voided')
"""
_OUTCOMES = """
SELECT transfer_id::text, status, version, code, reasons, facts, journal_index, occurred_at, settlement,
    attempts
FROM gateway.outcomes WHERE transfer_id = ANY($1::uuid[])
"""


@dataclass(slots=True)
class StoredRequest:
    """A request as it is kept, with the newest outcome known."""

    transfer_id: str
    principal_id: str
    scope: str
    idempotency_key: str
    body_hash: bytes
    command: bytes
    memo: bytes | None
    outcome: Outcome


class NewRequest(msgspec.Struct, gc=False):
    """A request to be kept."""

    transfer_id: str
    principal_id: str
    scope: str
    idempotency_key: str
    body_hash: bytes
    batch_id: str | None
    batch_position: int | None
    command: bytes
    memo: bytes | None
    memo_salt: bytes | None


async def insert_new_requests(
    connection: asyncpg.Connection, requests: Sequence[NewRequest], accepted_at: datetime
) -> bool:
    """Keep single requests, all or none; False, and nothing kept, if one of their keys is known.

    Sorted as for `insert_requests`.
    """
    try:
        await connection.execute(_INSERT_NEW, *_columns(requests), accepted_at)
    except asyncpg.UniqueViolationError as failure:
        if failure.constraint_name != "transfers_idempotency_key_unique":
            raise
        return False
    return True


async def insert_requests(connection: asyncpg.Connection, requests: Sequence[NewRequest], accepted_at: datetime) -> int:
    """Keep the requests whose key is new and return how many those were.

    The caller sorts them by (principal, scope, key): two processes that insert the same keys in different orders
    deadlock.
    """
    stored: int = await connection.fetchval(
        _INSERT,
        *_columns(requests),
        [r.batch_id for r in requests],
        [r.batch_position for r in requests],
        accepted_at,
    )
    return stored


async def find_by_keys(
    connection: asyncpg.Connection, keys: Sequence[tuple[str, str, str]]
) -> dict[tuple[str, str, str], StoredRequest]:
    """Return (principal, scope, key) → what is kept under it."""
    rows = await connection.fetch(_BY_KEYS, [k[0] for k in keys], [k[1] for k in keys], [k[2] for k in keys])
    return {(row[1], row[2], row[3]): _stored(row) for row in rows}


async def save_outcomes(connection: asyncpg.Connection, outcomes: Sequence[Outcome]) -> None:
    """Keep each outcome that is newer than what is kept and not frozen; at most one per transfer in a call.

    The first final outcome stays, and so does a hold that its caller asked for: it is the answer that every copy of
    the request gets.
    """
    await connection.execute(_UPSERT_OUTCOMES, *columns_of(outcomes))


async def load_outcomes(connection: asyncpg.Connection, transfer_ids: Sequence[str]) -> list[Outcome]:
    """Return what is known of these transfers; those of which nothing was heard are absent."""
    return [outcome_from(row) for row in await connection.fetch(_OUTCOMES, transfer_ids)]


def _columns(requests: Sequence[NewRequest]) -> tuple[list[Any], ...]:
    """Return what every request has, a list a column."""
    return (
        [r.transfer_id for r in requests],
        [r.principal_id for r in requests],
        [r.scope for r in requests],
        [r.idempotency_key for r in requests],
        [r.body_hash for r in requests],
        [r.command for r in requests],
        [r.memo for r in requests],
        [r.memo_salt for r in requests],
    )


def _stored(row: asyncpg.Record) -> StoredRequest:
    outcome = accepted(row[0]) if row["status"] is None else outcome_from((row[0], *tuple(row)[7:]))
    return StoredRequest(row[0], row[1], row[2], row[3], row[4], row[5], row[6], outcome)
