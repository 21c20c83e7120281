"""`fraud.limit_profiles`, `fraud.tier_limits` and `fraud.usd_rates`: the policy as data."""

from typing import Final

import asyncpg

from services.fraud.domain.bounds import Bounds
from services.fraud.domain.limits import LimitProfile
from services.fraud.domain.policy import Policy
from services.fraud.domain.usd_rates import UsdRate

_PROFILES: Final = """
    SELECT profile, min_minor, max_minor, day_sum_minor, hour_count, day_count, version FROM fraud.limit_profiles
"""
_TIERS: Final = """
    SELECT tier, min_minor, max_minor, day_sum_minor, hour_count, day_count, version FROM fraud.tier_limits
"""
_RATES: Final = "SELECT asset, numerator, denominator, version FROM fraud.usd_rates"


async def load_policy(connection: asyncpg.Connection) -> Policy:
    """Read all profiles, tiers and rates: a handful of rows."""
    profiles = [LimitProfile(*row) for row in await connection.fetch(_PROFILES)]
    tiers = await connection.fetch(_TIERS)
    rates = await connection.fetch(_RATES)
    return Policy(
        profiles={profile.profile: profile for profile in profiles},
        rates={asset: UsdRate(*columns) for asset, *columns in rates},
        tiers={tier: Bounds(*columns) for tier, *columns in tiers},
    )
