"""`fraud.bulk_reviews`: who asked for many decisions at once, and in `bulk_review_outcomes` what became of each."""

from typing import Final

import asyncpg

from libs.common.db.kept_answers import RequestKey
from libs.common.ids import new_id
from services.fraud.domain.reviews import Decided, Refused

_BEGIN: Final = """
    INSERT INTO fraud.bulk_reviews (bulk_id, principal_id, route, idempotency_key, body_hash)
    VALUES ($1::uuid, $2::uuid, $3, $4, $5) ON CONFLICT (principal_id, route, idempotency_key) DO NOTHING
"""
_BEGUN: Final = """
    SELECT bulk_id::text, body_hash FROM fraud.bulk_reviews
    WHERE principal_id = $1::uuid AND route = $2 AND idempotency_key = $3
"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_FIND: Final = """
    SELECT transfer_id::text, review_status, remaining, code, detail FROM fraud.bulk_review_outcomes
    WHERE bulk_id = $1::uuid AND transfer_id = $2::uuid
"""
_SAVE: Final = """
    INSERT INTO fraud.bulk_review_outcomes (bulk_id, transfer_id, review_status, remaining, code, detail)
    VALUES ($1::uuid, $2::uuid, $3, $4::text[], $5, $6)
"""


async def begin_bulk(connection: asyncpg.Connection, key: RequestKey, body_hash: bytes) -> tuple[str, bytes]:
    """Return (id, body hash) of the request that had this key first: this one, unless there was another."""
    await connection.execute(_BEGIN, new_id(), *key, body_hash)
    bulk_id, first_hash = await connection.fetchrow(_BEGUN, *key)
    return bulk_id, first_hash


async def lock_outcome(connection: asyncpg.Connection, bulk_id: str, transfer_id: str) -> Decided | Refused | None:
    """Return what became of a transfer in this request, None if nothing has yet. Locks: the request's decisions."""
    await connection.execute(_LOCK, bulk_id)
    row = await connection.fetchrow(_FIND, bulk_id, transfer_id)
    if row is None:
        return None
    if row["review_status"] is None:
        return Refused(row["transfer_id"], row["code"], row["detail"])
    return Decided(row["transfer_id"], row["review_status"], tuple(row["remaining"]), row["code"])


async def save_outcome(connection: asyncpg.Connection, bulk_id: str, outcome: Decided | Refused) -> None:
    """Keep what became of one, in the transaction that decides it."""
    if isinstance(outcome, Refused):
        await connection.execute(_SAVE, bulk_id, outcome.transfer_id, None, [], outcome.code, outcome.detail)
    else:
        status, remaining = outcome.review_status, list(outcome.remaining)
        await connection.execute(_SAVE, bulk_id, outcome.transfer_id, status, remaining, outcome.code, "")
