"""The hard limits on what one customer may send, whatever account he sends it from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from services.fraud.domain.window import DAY_US, HOUR_US, Window

BEYOND_REACH: Final = 10**12

LimitName = Literal["minimum_amount", "maximum_amount", "daily_amount", "hourly_count", "daily_count"]
SetBy = Literal["profile", "tier", "personal"]


@dataclass(frozen=True, slots=True)
class LimitProfile:
    """What a kind of customer may send: amounts in USD minor units, bounds included.

    `day_*` and `hour_*` speak of the 24 hours and the 60 minutes before each transfer, not of calendar days. Where a
    tier or a person has narrower limits, `set_by` says which of them are theirs; `tier_version` and `personal_version`
    are those of the bounds that were looked at, 0 for none.
    """

    profile: str
    min_minor: int
    max_minor: int
    day_sum_minor: int
    hour_count: int
    day_count: int
    version: int
    set_by: Mapping[LimitName, SetBy] = field(default_factory=dict)
    tier_version: int = 0
    personal_version: int = 0

    def with_velocity_lifted(self) -> "LimitProfile":
        """Return the same profile with counts and the day's sum beyond reach; a single transfer stays bounded."""
        return replace(self, day_sum_minor=BEYOND_REACH, hour_count=BEYOND_REACH, day_count=BEYOND_REACH)


@dataclass(frozen=True, slots=True)
class Breach:
    """The limit a transfer would break, and by what. `unit` is minor units of USD or a count of transfers.

    `used` is what the window holds without this transfer, None for a limit of a single transfer. `resets_at_us` is
    when enough has expired for this very transfer, None when waiting does not help. `set_by` is whose limit it is.
    """

    code: str
    limit: LimitName
    unit: Literal["minor", "count"]
    allowed: int
    used: int | None
    requested_minor: int
    resets_at_us: int | None
    set_by: SetBy


def find_breach(profile: LimitProfile, window: Window, *, usd_minor: int, now_us: int) -> Breach | None:
    """Return the first limit this transfer would break, None when it may pass. Uses nothing up.

    Precedence: the single amount (below, above), the day's sum, the hour's count, the day's count. A value equal to
    its limit passes. `now_us` is not before the window's newest slot.
    """
    if usd_minor < profile.min_minor:
        return _of_amount("amount_below_minimum", "minimum_amount", profile, profile.min_minor, usd_minor)
    if usd_minor > profile.max_minor:
        return _of_amount("amount_limit_exceeded", "maximum_amount", profile, profile.max_minor, usd_minor)
    window.advance(now_us)
    if window.day_sum_minor + usd_minor > profile.day_sum_minor:
        excess_minor = window.day_sum_minor + usd_minor - profile.day_sum_minor
        return Breach(
            code="daily_amount_limit_exceeded",
            limit="daily_amount",
            unit="minor",
            allowed=profile.day_sum_minor,
            used=window.day_sum_minor,
            requested_minor=usd_minor,
            resets_at_us=window.sum_frees_at(excess_minor),
            set_by=profile.set_by.get("daily_amount", "profile"),
        )
    if window.hour_count >= profile.hour_count:
        return _of_count(profile, "hourly_count", usd_minor, window)
    if window.day_count >= profile.day_count:
        return _of_count(profile, "daily_count", usd_minor, window)
    return None


def _of_amount(code: str, limit: LimitName, profile: LimitProfile, allowed: int, usd_minor: int) -> Breach:
    return Breach(
        code=code,
        limit=limit,
        unit="minor",
        allowed=allowed,
        used=None,
        requested_minor=usd_minor,
        resets_at_us=None,
        set_by=profile.set_by.get(limit, "profile"),
    )


def _of_count(
    profile: LimitProfile, limit: Literal["hourly_count", "daily_count"], usd_minor: int, window: Window
) -> Breach:
    hourly = limit == "hourly_count"
    allowed, used = (profile.hour_count, window.hour_count) if hourly else (profile.day_count, window.day_count)
    free = used + 1 - allowed
    return Breach(
        code=f"{limit}_limit_exceeded",
        limit=limit,
        unit="count",
        allowed=allowed,
        used=used,
        requested_minor=usd_minor,
        resets_at_us=window.count_frees_at(free, window_us=HOUR_US if hourly else DAY_US) if free <= used else None,
        set_by=profile.set_by.get(limit, "profile"),
    )
