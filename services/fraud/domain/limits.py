"""The hard limits on what one customer may send, whatever account he sends it from."""

from dataclasses import dataclass
from typing import Final, Literal

from services.fraud.domain.window import DAY_US, HOUR_US, Window

BEYOND_REACH: Final = 10**12


@dataclass(frozen=True, slots=True)
class LimitProfile:
    """What a kind of customer may send: amounts in USD minor units, bounds included.

    `day_*` and `hour_*` speak of the 24 hours and the 60 minutes before each transfer, not of calendar days.
    """

    profile: str
    min_minor: int
    max_minor: int
    day_sum_minor: int
    hour_count: int
    day_count: int
    version: int

    def with_velocity_lifted(self) -> "LimitProfile":
        """Return the same profile with counts and the day's sum beyond reach; a single transfer stays bounded."""
        return LimitProfile(
            profile=self.profile,
            min_minor=self.min_minor,
            max_minor=self.max_minor,
            day_sum_minor=BEYOND_REACH,
            hour_count=BEYOND_REACH,
            day_count=BEYOND_REACH,
            version=self.version,
        )


@dataclass(frozen=True, slots=True)
class Breach:
    """The limit a transfer would break, and by what. `unit` is minor units of USD or a count of transfers.

    `used` is what the window holds without this transfer, None for a limit of a single transfer. `resets_at_us` is
    when enough has expired for this very transfer, None when waiting does not help.
    """

    code: str
    limit: str
    unit: Literal["minor", "count"]
    allowed: int
    used: int | None
    requested_minor: int
    resets_at_us: int | None


def find_breach(profile: LimitProfile, window: Window, *, usd_minor: int, now_us: int) -> Breach | None:
    """Return the first limit this transfer would break, None when it may pass. Uses nothing up.

    Precedence: the single amount (below, above), the day's sum, the hour's count, the day's count. A value equal to
    its limit passes. `now_us` is not before the window's newest slot.
    """
    if usd_minor < profile.min_minor:
        return _of_amount("amount_below_minimum", "minimum_amount", profile.min_minor, usd_minor)
    if usd_minor > profile.max_minor:
        return _of_amount("amount_limit_exceeded", "maximum_amount", profile.max_minor, usd_minor)
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
        )
    if window.hour_count >= profile.hour_count:
        return _of_count("hourly_count", profile.hour_count, window.hour_count, usd_minor, window, HOUR_US)
    if window.day_count >= profile.day_count:
        return _of_count("daily_count", profile.day_count, window.day_count, usd_minor, window, DAY_US)
    return None


def _of_amount(code: str, limit: str, allowed: int, usd_minor: int) -> Breach:
    return Breach(
        code=code,
        limit=limit,
        unit="minor",
        allowed=allowed,
        used=None,
        requested_minor=usd_minor,
        resets_at_us=None,
    )


def _of_count(limit: str, allowed: int, used: int, usd_minor: int, window: Window, window_us: int) -> Breach:
    free = used + 1 - allowed
    return Breach(
        code=f"{limit}_limit_exceeded",
        limit=limit,
        unit="count",
        allowed=allowed,
        used=used,
        requested_minor=usd_minor,
        resets_at_us=window.count_frees_at(free, window_us=window_us) if free <= used else None,
    )
