"""`fraud.limit_profiles` and `fraud.usd_rates`: the policy as data."""

from typing import Final

import asyncpg

from services.fraud.domain.limits import LimitProfile
from services.fraud.domain.policy import Policy
from services.fraud.domain.usd_rates import UsdRate

_PROFILES: Final = """
    SELECT profile, min_minor, max_minor, day_sum_minor, hour_count, day_count, version FROM fraud.limit_profiles
"""
_RATES: Final = "SELECT asset, numerator, denominator, version FROM fraud.usd_rates"


async def load_policy(connection: asyncpg.Connection) -> Policy:
    """Read all profiles and rates: a handful of rows."""
    profiles = [LimitProfile(*row) for row in await connection.fetch(_PROFILES)]
    rates = await connection.fetch(_RATES)
    return Policy(
        profiles={profile.profile: profile for profile in profiles},
        rates={asset: UsdRate(*columns) for asset, *columns in rates},
    )
