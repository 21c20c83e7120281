"""`fraud.holds`: transfers that wait, for whom, and how that ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import asyncpg

from libs.common.contracts.fraud import HoldReason
from services.fraud.domain.holds import KYC_PENDING

_INSERT: Final = """
    INSERT INTO fraud.holds (transfer_id, payees, reasons, opened_at)
    SELECT h.transfer_id, string_to_array(h.payees, ',')::uuid[], string_to_array(h.reasons, ','), h.opened_at
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[]) AS h (transfer_id, payees, reasons, opened_at)
"""

_WAIT: Final = """
    INSERT INTO fraud.hold_payees (payee_id, transfer_id) SELECT * FROM unnest($1::uuid[], $2::uuid[])
"""
_WAIT_NO_MORE: Final = """
    DELETE FROM fraud.hold_payees w USING unnest($1::uuid[], $2::uuid[]) AS gone (payee_id, transfer_id)
    WHERE w.payee_id = gone.payee_id AND w.transfer_id = gone.transfer_id
"""
_WAITING_FOR: Final = """
    SELECT DISTINCT transfer_id::text FROM fraud.hold_payees WHERE payee_id = ANY($1::uuid[]) ORDER BY 1 LIMIT $2
"""

_LOCK: Final = """
    SELECT h.transfer_id::text, h.payees::text[], h.reasons, d.decision_id::text, d.user_id::text, d.usd_minor,
           d.decided_at, d.command, (convert_from(d.features, 'UTF8')::jsonb ->> 'payer_tier')::int,
           h.settled_at IS NOT NULL
    FROM fraud.holds h JOIN fraud.decisions d ON d.transfer_id = h.transfer_id
    WHERE h.transfer_id = ANY($1::uuid[]) AND h.status = 'open'
    ORDER BY h.transfer_id FOR UPDATE OF h
"""

# Looks at one page of open holds, whatever it finds there: the work is bounded, and the next page follows.
_RESOLVABLE: Final = """
    SELECT page.transfer_id::text, 'kyc_pending' = ANY(page.reasons) AND (
        SELECT bool_and(coalesce(u.kyc_tier, 0) > 0) OR bool_or(coalesce(u.kyc_status, 'none') = 'rejected')
        FROM unnest(page.payees) AS payee (user_id) LEFT JOIN fraud.users u ON u.user_id = payee.user_id
    )
    FROM (
        SELECT transfer_id, payees, reasons FROM fraud.holds
        WHERE status = 'open' AND transfer_id > $1::uuid ORDER BY transfer_id LIMIT $2
    ) page
    ORDER BY page.transfer_id
"""

_KYC_WAITS: Final = """
    SELECT transfer_id::text FROM fraud.holds
    WHERE status = 'open' AND opened_at <= $1 AND 'kyc_pending' = ANY(reasons) ORDER BY opened_at LIMIT $2
"""

_RESOLVE: Final = """
    UPDATE fraud.holds h
    SET status = r.status, reasons = string_to_array(r.reasons, ','), resolution = r.resolution, resolved_at = $5,
        sent_at = $5, version = h.version + 1
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) AS r (transfer_id, status, reasons, resolution)
    WHERE h.transfer_id = r.transfer_id
"""

_SETTLE: Final = """
    UPDATE fraud.holds h SET settled_at = $2 FROM unnest($1::uuid[]) AS settled (transfer_id)
    WHERE h.transfer_id = settled.transfer_id AND h.settled_at IS NULL
"""

_UNSETTLED: Final = """
    WITH due AS (
        SELECT transfer_id FROM fraud.holds
        WHERE status <> 'open' AND settled_at IS NULL AND sent_at <= $2
        ORDER BY sent_at LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE fraud.holds h SET sent_at = $1 FROM due WHERE h.transfer_id = due.transfer_id
    RETURNING h.transfer_id::text, h.resolution
"""


@dataclass(frozen=True, slots=True)
class NewHold:
    """A transfer that begins to wait."""

    transfer_id: str
    payees: Sequence[str]
    reasons: Sequence[HoldReason]
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A waiting transfer with its decision: `user_id` is the payer, `decided_at` when he took his slot.

    `payer_tier` is the tier he was of then. `is_settled` says that the ledger was heard to have refused or voided it.
    """

    transfer_id: str
    payees: list[str]
    reasons: list[HoldReason]
    decision_id: str
    user_id: str
    usd_minor: int
    decided_at: datetime
    command: bytes
    payer_tier: int
    is_settled: bool


@dataclass(frozen=True, slots=True)
class ResolvedHold:
    """What became of a hold: `open` while reasons remain. `resolution` is the message as it was sent, JSON."""

    transfer_id: str
    status: Literal["open", "released", "rejected"]
    reasons: Sequence[HoldReason]
    resolution: bytes


async def insert_holds(connection: asyncpg.Connection, holds: Sequence[NewHold]) -> None:
    """Keep transfers that begin to wait, and for whose KYC."""
    await connection.execute(
        _INSERT,
        [hold.transfer_id for hold in holds],
        [",".join(hold.payees) for hold in holds],
        [",".join(hold.reasons) for hold in holds],
        [hold.opened_at for hold in holds],
    )
    waiting = [hold for hold in holds if KYC_PENDING in hold.reasons]
    if waiting:
        await connection.execute(_WAIT, *_pairs(waiting))


async def find_holds_of_payees(connection: asyncpg.Connection, user_ids: Sequence[str], *, limit: int) -> list[str]:
    """Return the ids of transfers that wait for any of these payees."""
    return [row[0] for row in await connection.fetch(_WAITING_FOR, user_ids, limit)]


async def lock_holds(connection: asyncpg.Connection, transfer_ids: Sequence[str]) -> list[OpenHold]:
    """Return those of these that still wait. Locks: the holds, in order of their ids."""
    return [OpenHold(*row) for row in await connection.fetch(_LOCK, transfer_ids)]


async def look_for_resolvable(
    connection: asyncpg.Connection, *, after: str, limit: int
) -> tuple[list[str], str | None]:
    """Look at one page of open holds with greater ids than `after`.

    Returns the ids of those whose payees are by now verified or rejected, and the last id looked at; None when the
    page was not full, so that the next look begins from the start.
    """
    rows = await connection.fetch(_RESOLVABLE, after, limit)
    found = [transfer_id for transfer_id, resolvable in rows if resolvable]
    return found, rows[-1][0] if len(rows) == limit else None


async def find_kyc_waits(connection: asyncpg.Connection, *, opened_before: datetime, limit: int) -> list[str]:
    """Return the ids of holds that wait for KYC since then or longer, the oldest first."""
    return [row[0] for row in await connection.fetch(_KYC_WAITS, opened_before, limit)]


async def save_resolutions(connection: asyncpg.Connection, holds: Sequence[ResolvedHold], at: datetime) -> None:
    """Keep what became of holds that the caller has locked."""
    await connection.execute(
        _RESOLVE,
        [hold.transfer_id for hold in holds],
        [hold.status for hold in holds],
        [",".join(hold.reasons) for hold in holds],
        [hold.resolution for hold in holds],
        at,
    )


async def stop_waiting(connection: asyncpg.Connection, holds: Sequence[OpenHold]) -> None:
    """Forget for whom these waited: nobody's KYC concerns them any more."""
    await connection.execute(_WAIT_NO_MORE, *_pairs(holds))


async def settle_holds(connection: asyncpg.Connection, transfer_ids: Sequence[str], at: datetime) -> None:
    """Note that the ledger has finished with these; ids that are no holds are ignored."""
    await connection.execute(_SETTLE, transfer_ids, at)


async def take_unsettled(
    connection: asyncpg.Connection, *, now: datetime, sent_before: datetime, limit: int
) -> list[tuple[str, bytes]]:
    """Return (transfer_id, resolution) of ended holds not known settled; notes that they are sent now."""
    rows = await connection.fetch(_UNSETTLED, now, sent_before, limit)
    return [(transfer_id, resolution) for transfer_id, resolution in rows]


def _pairs(holds: Sequence[NewHold] | Sequence[OpenHold]) -> tuple[list[str], list[str]]:
    """Return the columns (payee_id, transfer_id) of everyone waited for, each pair once."""
    pairs = [(payee, hold.transfer_id) for hold in holds for payee in dict.fromkeys(hold.payees)]
    return [payee for payee, _ in pairs], [transfer_id for _, transfer_id in pairs]
