"""Slots given back and slots taken late. A slot counts while its decision stands and no release names it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from services.fraud.domain.moments import to_us

# Only what used a slot is released, and only once: who comes second gets no row back. The payers are locked, so that
# the next version of each, which the caller is about to write, is known here.
_RELEASE: Final = """
    WITH released AS (
        INSERT INTO fraud.limit_releases (transfer_id, user_id, released_at, reason, user_version)
        SELECT d.transfer_id, d.user_id, $3, asked.reason, u.version + 1
        FROM unnest($1::uuid[], $2::text[]) AS asked (transfer_id, reason)
        JOIN fraud.decisions d ON d.transfer_id = asked.transfer_id
        JOIN fraud.users u ON u.user_id = d.user_id
        WHERE d.verdict <> 'block'
        ORDER BY u.user_id FOR UPDATE OF u
        ON CONFLICT (transfer_id) DO NOTHING
        RETURNING transfer_id, user_id
    )
    SELECT released.user_id::text, d.decided_at, l.taken_at, d.usd_minor
    FROM released
    JOIN fraud.decisions d ON d.transfer_id = released.transfer_id
    LEFT JOIN fraud.late_slots l ON l.transfer_id = released.transfer_id
"""

_RELEASE_AT_ONCE: Final = """
    INSERT INTO fraud.limit_releases (transfer_id, user_id, released_at, reason, user_version)
    SELECT asked.transfer_id, asked.user_id, $3, $4, u.version
    FROM unnest($1::uuid[], $2::uuid[]) AS asked (transfer_id, user_id)
    JOIN fraud.users u ON u.user_id = asked.user_id
"""

_TAKE_LATE: Final = """
    INSERT INTO fraud.late_slots (transfer_id, user_id, usd_minor, taken_at, user_version)
    SELECT late.*, u.version
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[])
        AS late (transfer_id, user_id, usd_minor, taken_at)
    JOIN fraud.users u ON u.user_id = late.user_id
"""


@dataclass(frozen=True, slots=True)
class LateSlot:
    """A slot taken when a hold was released after its first one had left the window."""

    transfer_id: str
    user_id: str
    usd_minor: int
    taken_at: datetime


async def release_slots(
    connection: asyncpg.Connection, reasons: dict[str, str], at: datetime
) -> dict[str, list[tuple[int, int]]]:
    """Give back the slots of these transfers (transfer_id → reason), each once for ever.

    Returns user_id → slots given back now, (time µs, USD minor). The caller bumps those users' versions.
    Locks: the payers' rows, in order of their ids.
    """
    rows = await connection.fetch(_RELEASE, list(reasons), list(reasons.values()), at)
    released: dict[str, list[tuple[int, int]]] = {}
    for user_id, decided_at, late_at, usd_minor in rows:
        released.setdefault(user_id, []).append((to_us(late_at or decided_at), usd_minor))
    return released


async def release_at_once(
    connection: asyncpg.Connection, slots: Iterable[tuple[str, str]], at: datetime, *, reason: str
) -> None:
    """Release (transfer_id, user_id) in the transaction that has decided them: they never count."""
    transfer_ids, user_ids = zip(*slots, strict=True)
    await connection.execute(_RELEASE_AT_ONCE, transfer_ids, user_ids, at, reason)


async def take_late_slots(connection: asyncpg.Connection, slots: Sequence[LateSlot]) -> None:
    """Keep slots taken at the release of holds, once the payers' versions have moved for them."""
    await connection.execute(
        _TAKE_LATE,
        [slot.transfer_id for slot in slots],
        [slot.user_id for slot in slots],
        [slot.usd_minor for slot in slots],
        [slot.taken_at for slot in slots],
    )
