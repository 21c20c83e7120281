"""How a customer stands with his limits: what he may send, how much of it is used, and when that comes back."""

from dataclasses import dataclass
from typing import Literal

from services.fraud.domain.limits import LimitName, LimitProfile, SetBy
from services.fraud.domain.window import DAY_US, HOUR_US, Window


@dataclass(frozen=True, slots=True)
class LimitStanding:
    """One limit in `unit`s, US cents or a count of transfers; `used` is None for a limit of a single transfer.

    `resets_at_us` is when the oldest of what is used leaves the window, None while nothing is used.
    """

    limit: LimitName
    unit: Literal["minor", "count"]
    allowed: int
    set_by: SetBy
    used: int | None = None
    resets_at_us: int | None = None


@dataclass(frozen=True, slots=True)
class CustomersLimits:
    """The limits in force for a customer; of tier 0 he sends nothing, whatever they say."""

    profile: str
    tier: int
    limits: tuple[LimitStanding, ...]


def standings_of(limits: LimitProfile, window: Window) -> tuple[LimitStanding, ...]:
    """Return each limit with what the window, brought to this moment, has used of it."""

    def standing(
        limit: LimitName, unit: Literal["minor", "count"], allowed: int, used: int | None = None, resets_at_us: int = 0
    ) -> LimitStanding:
        whose = limits.set_by.get(limit, "profile")
        return LimitStanding(limit, unit, allowed, whose, used, resets_at_us if used else None)

    hour_resets_us = window.count_frees_at(1, window_us=HOUR_US) if window.hour_count else 0
    day_resets_us = window.count_frees_at(1, window_us=DAY_US) if window.day_count else 0
    return (
        standing("minimum_amount", "minor", limits.min_minor),
        standing("maximum_amount", "minor", limits.max_minor),
        standing("daily_amount", "minor", limits.day_sum_minor, window.day_sum_minor, day_resets_us),
        standing("hourly_count", "count", limits.hour_count, window.hour_count, hour_resets_us),
        standing("daily_count", "count", limits.day_count, window.day_count, day_resets_us),
    )
