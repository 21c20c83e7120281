"""When the outcome of a slot is asked for: once nobody else is about to tell it, and then ever more seldom."""

from datetime import datetime, timedelta
from typing import Final

from services.fraud.domain.limits import LimitProfile
from services.fraud.domain.window import Window

UNHEARD_AFTER: Final = timedelta(seconds=20)
"""An outcome takes less than a second. When it is lost, the gateway asks again after five and the sweep of holds after
ten: by now both had their turn."""

_PAUSES: Final = (timedelta(minutes=5), timedelta(minutes=25), timedelta(hours=2), timedelta(hours=10))
ASKED_TIMES_MAX: Final = len(_PAUSES) + 1
"""Within the day that a slot counts: it may post, or be voided by its caller, between two questions."""


def is_due(taken_at: datetime, times: int, asked_at: datetime | None, now: datetime) -> bool:
    """Tell whether to ask about a slot taken then, asked about so many times, the last at `asked_at`."""
    if times == 0 or asked_at is None:
        return now >= taken_at + UNHEARD_AFTER
    return times < ASKED_TIMES_MAX and now >= asked_at + _PAUSES[times - 1]


def is_near_limit(limits: LimitProfile, window: Window) -> bool:
    """Tell whether four fifths of what a window allows are used: a slot that moved nothing may soon be missed."""
    return (
        window.hour_count * 5 >= limits.hour_count * 4
        or window.day_count * 5 >= limits.day_count * 4
        or window.day_sum_minor * 5 >= limits.day_sum_minor * 4
    )
