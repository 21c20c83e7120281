"""`fraud.personal_limits`: every limit that was set for one customer. INSERT only; the customer's row names the one."""

from collections.abc import Mapping
from typing import Final

import asyncpg

from services.fraud.domain.bounds import Bounds
from services.fraud.domain.set_by_staff import PersonalLimits

_LOAD: Final = """
    SELECT p.user_id::text, p.min_minor, p.max_minor, p.day_sum_minor, p.hour_count, p.day_count, p.version
    FROM unnest($1::uuid[], $2::integer[]) AS asked (user_id, version)
    JOIN fraud.personal_limits p ON p.user_id = asked.user_id AND p.version = asked.version
"""
_FIND: Final = """
    SELECT u.personal_version, p.min_minor, p.max_minor, p.day_sum_minor, p.hour_count, p.day_count,
           p.reason, p.set_by::text, p.set_at
    FROM fraud.users u
    LEFT JOIN fraud.personal_limits p ON p.user_id = u.user_id AND p.version = u.personal_version
    WHERE u.user_id = $1::uuid
"""
_LOCK: Final = _FIND + "FOR UPDATE OF u"
_INSERT: Final = """
    INSERT INTO fraud.personal_limits
        (user_id, version, min_minor, max_minor, day_sum_minor, hour_count, day_count, reason, set_by, set_at,
         user_version)
    SELECT user_id, $2, $3, $4, $5, $6, $7, $8, $9::uuid, $10, version + 1 FROM fraud.users WHERE user_id = $1::uuid
"""
# The row's own version moves too: no memory of this customer stays believed, here or elsewhere.
_PUT_IN_FORCE: Final = """
    UPDATE fraud.users SET personal_version = $2, version = version + 1 WHERE user_id = $1::uuid
"""


async def load_personal_limits(connection: asyncpg.Connection, versions: Mapping[str, int]) -> dict[str, Bounds]:
    """Return user_id → the limits of this version, for those whose version is not 0; no query when nobody has any."""
    asked = {user_id: version for user_id, version in versions.items() if version}
    if not asked:
        return {}
    rows = await connection.fetch(_LOAD, list(asked), list(asked.values()))
    return {user_id: Bounds(*columns) for user_id, *columns in rows}


async def find_personal_limits(connection: asyncpg.Connection, user_id: str) -> PersonalLimits | None:
    """Return what is in force for a customer; None for somebody we never heard of."""
    return _limits(await connection.fetchrow(_FIND, user_id))


async def lock_personal_limits(connection: asyncpg.Connection, user_id: str) -> PersonalLimits | None:
    """Return the same, and keep others from changing it until the commit. Locks: the customer's row."""
    return _limits(await connection.fetchrow(_LOCK, user_id))


async def save_personal_limits(connection: asyncpg.Connection, user_id: str, limits: PersonalLimits) -> None:
    """Keep the next version of a customer's limits and put it in force; the caller has locked his row."""
    one = limits.bounds
    await connection.execute(
        _INSERT,
        user_id,
        one.version,
        one.min_minor,
        one.max_minor,
        one.day_sum_minor,
        one.hour_count,
        one.day_count,
        limits.reason,
        limits.set_by,
        limits.set_at,
    )
    await connection.execute(_PUT_IN_FORCE, user_id, one.version)


def _limits(row: asyncpg.Record | None) -> PersonalLimits | None:
    if row is None:
        return None
    version, min_minor, max_minor, day_sum_minor, hour_count, day_count, reason, set_by, set_at = row
    bounds = Bounds(min_minor, max_minor, day_sum_minor, hour_count, day_count, version)
    return PersonalLimits(bounds, reason, set_by, set_at)
