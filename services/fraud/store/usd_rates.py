"""`fraud.usd_rates` as staff see and change them. Decisions store the rate they used."""

from typing import Final

import asyncpg

from services.fraud.domain.set_by_staff import SetRate
from services.fraud.domain.usd_rates import UsdRate

_FIND: Final = """
    SELECT numerator, denominator, version, reason, set_by::text, as_of FROM fraud.usd_rates WHERE asset = $1
"""
# Two who name a rate for the same new asset at once: one waits for the other here, and then sees his row.
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('fraud.usd_rates/' || $1, 0))"
_SAVE: Final = """
    INSERT INTO fraud.usd_rates (asset, numerator, denominator, version, reason, set_by, as_of)
    VALUES ($1, $2, $3, $4, $5, $6::uuid, $7)
    ON CONFLICT (asset) DO UPDATE
    SET numerator = excluded.numerator, denominator = excluded.denominator, version = excluded.version,
        reason = excluded.reason, set_by = excluded.set_by, as_of = excluded.as_of
"""


async def find_rate(connection: asyncpg.Connection, asset: str) -> SetRate | None:
    """Return what an asset is worth; None where nobody has said it."""
    row = await connection.fetchrow(_FIND, asset)
    return None if row is None else SetRate(UsdRate(*row[:3]), *row[3:])


async def lock_rate(connection: asyncpg.Connection, asset: str) -> SetRate | None:
    """Return the same, and keep others from changing it until the commit. Locks: the asset, known or not."""
    await connection.execute(_LOCK, asset)
    return await find_rate(connection, asset)


async def save_rate(connection: asyncpg.Connection, asset: str, one: SetRate) -> None:
    """Put the next version in force; the caller has locked it."""
    rate = one.rate
    await connection.execute(
        _SAVE, asset, rate.numerator, rate.denominator, rate.version, one.reason, one.set_by, one.set_at
    )
