"""The limits as they stood when a decision was made: it names their versions, and every version stays stored."""

from typing import Final

import asyncpg

from services.fraud.domain.bounds import LIMIT_OF_FIELD, Bounds, narrow
from services.fraud.domain.explanation import ShownLimit
from services.fraud.domain.limits import LimitName, LimitProfile
from services.fraud.domain.stored_features import Features

_VERSION: Final = """
    SELECT min_minor, max_minor, day_sum_minor, hour_count, day_count, version FROM fraud.limit_versions
    WHERE kind = $1 AND subject = $2 AND version = $3
"""
_PERSONAL: Final = """
    SELECT min_minor, max_minor, day_sum_minor, hour_count, day_count, version FROM fraud.personal_limits
    WHERE user_id = $1::uuid AND version = $2
"""


async def find_limits_then(connection: asyncpg.Connection, user_id: str | None, features: Features) -> list[ShownLimit]:
    """Return each limit of the payer with what was used before this transfer; nothing for who had none."""
    profile = await connection.fetchrow(_VERSION, "profile", features.profile, features.limits_version)
    if user_id is None or profile is None:
        return []
    tier = await connection.fetchrow(_VERSION, "tier", str(features.payer_tier), features.tier_limits_version)
    personal = await connection.fetchrow(_PERSONAL, user_id, features.personal_version)
    limits = narrow(
        LimitProfile(features.profile, *profile),
        tier=Bounds(*tier or ()),
        personal=Bounds(*personal or ()),
    )
    used: dict[LimitName, int] = {
        "daily_amount": features.day_sum_minor,
        "hourly_count": features.hour_count,
        "daily_count": features.day_count,
    }
    return [
        ShownLimit(
            limit=limit,
            unit="minor" if field.endswith("_minor") else "count",
            limit_set_by=limits.set_by.get(limit, "profile"),
            allowed=getattr(limits, field),
            used=used.get(limit),
            remaining=max(0, getattr(limits, field) - used[limit]) if limit in used else None,
        )
        for field, limit in LIMIT_OF_FIELD.items()
    ]
