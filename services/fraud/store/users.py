"""`fraud.users`: one row a customer, whose version guards his limits and everything they rest on."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

import asyncpg
import msgspec

from libs.common.errors import Unavailable
from services.fraud.domain.bounds import Bounds
from services.fraud.domain.holds import Standing
from services.fraud.domain.moments import all_to_us, to_us, us_or_zero
from services.fraud.domain.payer import Payer
from services.fraud.domain.policy import DEFAULT_PROFILE, UNBOUNDED
from services.fraud.domain.window import Window
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.personal_limits import load_personal_limits

_DAY: Final = timedelta(hours=24)

_SELECT: Final = """
    SELECT asked.place, u.version, u.profile, u.kyc_tier, u.kyc_version, u.last_decided_at, u.personal_version,
           u.account_since, u.kyc_since, u.documents_shared_at
    FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (user_id, place)
    JOIN fraud.users u ON u.user_id = asked.user_id
"""

_SELECT_STANDINGS: Final = """
    SELECT u.user_id::text, u.kyc_status, u.kyc_tier FROM fraud.users u WHERE u.user_id = ANY($1::uuid[])
"""

# OFFSET 0 keeps the planner from joining the other way round: a plan made on young tables would read the windows of
# all customers to find those of a few, and a pinned plan stays.
_SELECT_SLOTS: Final = """
    SELECT asked.place, slot.taken_at, slot.usd_minor
    FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (user_id, place)
    CROSS JOIN LATERAL (
        SELECT d.transfer_id, d.decided_at AS taken_at, d.usd_minor FROM fraud.decisions d
        WHERE d.user_id = asked.user_id AND d.decided_at > $2 AND d.verdict <> 'block'
        UNION ALL
        SELECT l.transfer_id, l.taken_at, l.usd_minor FROM fraud.late_slots l
        WHERE l.user_id = asked.user_id AND l.taken_at > $2
        OFFSET 0
    ) slot
    WHERE NOT EXISTS (SELECT FROM fraud.limit_releases r WHERE r.transfer_id = slot.transfer_id)
    ORDER BY asked.place, slot.taken_at
"""

# One statement for known and new customers alike. The row that another process moved meanwhile is not counted.
# It may stand in another statement's WITH: $1 and $2 are what `next_versions` returns, $3 is now. Whose last decision
# is later than that keeps its time, as he does in memory: one time is sent instead of one for each.
ADVANCE: Final = """
    INSERT INTO fraud.users AS u (user_id, version, last_decided_at)
    SELECT asked.user_id, asked.version, $3::timestamptz
    FROM unnest($1::uuid[], $2::bigint[]) AS asked (user_id, version)
    ON CONFLICT (user_id) DO UPDATE
    SET version = excluded.version, last_decided_at = greatest(u.last_decided_at, excluded.last_decided_at)
    WHERE u.version = excluded.version - 1
"""

_BUMP: Final = """
    UPDATE fraud.users u SET version = u.version + 1
    FROM unnest($1::uuid[]) AS asked (user_id) WHERE u.user_id = asked.user_id
    RETURNING u.user_id::text, u.version
"""


class Customer(msgspec.Struct, frozen=True, gc=False):
    """A customer's row as stored."""

    version: int
    profile: str
    kyc_tier: int
    kyc_version: int
    last_decided_at: datetime | None
    personal_version: int = 0
    account_since: datetime | None = None
    kyc_since: datetime | None = None
    documents_shared_at: Sequence[datetime] | None = None


async def load_customers(connection: asyncpg.Connection, user_ids: Sequence[str]) -> dict[str, Customer]:
    """Return user_id → row for those who have one."""
    if not user_ids:
        return {}
    rows = await connection.fetch(_SELECT, user_ids)
    return {user_ids[place - 1]: Customer(*columns) for place, *columns in rows}


async def load_standings(connection: asyncpg.Connection, user_ids: Iterable[str]) -> dict[str, Standing]:
    """Return user_id → KYC standing for those who have a row."""
    rows = await connection.fetch(_SELECT_STANDINGS, list(user_ids))
    return {user_id: Standing(status=status, tier=tier) for user_id, status, tier in rows}


async def load_payers(
    connection: asyncpg.Connection,
    cache: PayerCache,
    user_ids: Sequence[str],
    customers: dict[str, Customer],
    now: datetime,
) -> dict[str, Payer]:
    """Return user_id → payer for all asked: from memory where remembered, else with the window from its rows.

    `customers` were read before this call: what commits between the two makes `advance_payers` refuse, never mislead.
    """
    payers = {user_id: payer for user_id in user_ids if (payer := cache.get(user_id)) is not None}
    missing = [user_id for user_id in user_ids if user_id not in payers]
    if not missing:
        return payers
    slots: dict[str, list[tuple[int, int]]] = {user_id: [] for user_id in missing}
    known = [user_id for user_id in missing if user_id in customers]
    if known:
        for place, taken_at, usd_minor in await connection.fetch(_SELECT_SLOTS, known, now - _DAY):
            slots[known[place - 1]].append((to_us(taken_at), usd_minor))
    personal = await load_personal_limits(
        connection, {user_id: customers[user_id].personal_version for user_id in known}
    )
    for user_id in missing:
        payer = _payer(user_id, customers.get(user_id), Window(slots[user_id]), personal.get(user_id, UNBOUNDED))
        payers[user_id] = payer
        cache.put(payer)
    return payers


def _payer(user_id: str, row: Customer | None, window: Window, personal: Bounds) -> Payer:
    if row is None:
        return Payer(user_id, 0, DEFAULT_PROFILE, 0, 0, 0, window)
    last_us = 0 if row.last_decided_at is None else to_us(row.last_decided_at)
    return Payer(
        user_id,
        row.version,
        row.profile,
        row.kyc_tier,
        row.kyc_version,
        last_us,
        window,
        personal,
        account_since_us=us_or_zero(row.account_since),
        kyc_since_us=us_or_zero(row.kyc_since),
        documents_shared_us=all_to_us(row.documents_shared_at),
    )


async def advance_payers(connection: asyncpg.Connection, payers: Collection[Payer], now: datetime) -> None:
    """Write the next version of each payer decided about now, provided nobody else has; memory follows.

    Locks: the rows, in order of their ids.
    Raises: Unavailable `limits_moved`; the caller forgets these payers and does the whole work again.
    """
    if payers:
        tag = await connection.execute(ADVANCE, *next_versions(payers), now)
        if int(tag.rpartition(" ")[2]) != len(payers):
            raise limits_moved()
        follow(payers, now)


def next_versions(payers: Iterable[Payer]) -> tuple[list[str], list[int]]:
    """Return payers' ids and next versions, in order of the ids; memory stays."""
    ordered = sorted(payers, key=attrgetter("user_id"))
    return [payer.user_id for payer in ordered], [payer.version + 1 for payer in ordered]


def follow(payers: Iterable[Payer], now: datetime) -> None:
    """Move payers to their next version in memory, once it is written."""
    now_us = to_us(now)
    for payer in payers:
        payer.follow(now_us)


def limits_moved() -> Unavailable:
    """Return the refusal of a work whose payers were not all at the version that memory knew."""
    return Unavailable("limits_moved", "Another process moved these limits; try again.")


async def bump_versions(connection: asyncpg.Connection, user_ids: Iterable[str]) -> dict[str, int]:
    """Raise the versions of these rows so that no memory elsewhere stays believed. Returns user_id → new version.

    Locks: the rows, in order of their ids.
    """
    return {row[0]: row[1] for row in await connection.fetch(_BUMP, sorted(user_ids))}
