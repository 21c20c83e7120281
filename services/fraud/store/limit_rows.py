"""`fraud.limit_profiles` and `fraud.tier_limits` as staff see and change them. Triggers keep what each version said."""

from typing import Final

import asyncpg

from libs.common.invariants import check
from services.fraud.domain.bounds import Bounds
from services.fraud.domain.set_by_staff import LimitKind, SetLimits

_TABLE: Final = {"profile": "fraud.limit_profiles", "tier": "fraud.tier_limits"}
_FIND: Final = """
    SELECT min_minor, max_minor, day_sum_minor, hour_count, day_count, version, reason, set_by::text, set_at
    FROM {table} WHERE {key}::text = $1
"""
_UPDATE: Final = """
    UPDATE {table}
    SET min_minor = $2, max_minor = $3, day_sum_minor = $4, hour_count = $5, day_count = $6, version = $7, reason = $8,
        set_by = $9::uuid, set_at = $10
    WHERE {key}::text = $1
"""


async def find_limits(connection: asyncpg.Connection, kind: LimitKind, subject: str) -> SetLimits:
    """Return the limits of a profile or a tier, which all have a row."""
    return _limits(await connection.fetchrow(_FIND.format(table=_TABLE[kind], key=kind), subject))


async def lock_limits(connection: asyncpg.Connection, kind: LimitKind, subject: str) -> SetLimits:
    """Return the same, and keep others from changing them until the commit. Locks: the row."""
    statement = _FIND.format(table=_TABLE[kind], key=kind) + "FOR UPDATE"
    return _limits(await connection.fetchrow(statement, subject))


async def save_limits(connection: asyncpg.Connection, kind: LimitKind, subject: str, limits: SetLimits) -> None:
    """Put the next version in force; the caller has locked the row."""
    one = limits.bounds
    await connection.execute(
        _UPDATE.format(table=_TABLE[kind], key=kind),
        subject,
        one.min_minor,
        one.max_minor,
        one.day_sum_minor,
        one.hour_count,
        one.day_count,
        one.version,
        limits.reason,
        limits.set_by,
        limits.set_at,
    )


def _limits(row: asyncpg.Record | None) -> SetLimits:
    columns = tuple(row or ())
    check(bool(columns), "every profile and every tier has its limits")
    return SetLimits(Bounds(*columns[:6]), *columns[6:])
