"""When the night's work is due."""

from datetime import datetime, timedelta
from typing import Final

NIGHT_HOUR: Final = 2
"""UTC: after midnight's batches of most of the world's banks, before Europe works."""


def is_due(now: datetime, last_began_at: datetime | None) -> bool:
    """Tell whether the newest night, which began at 02:00 UTC, has not had its run yet."""
    night = now.replace(hour=NIGHT_HOUR, minute=0, second=0, microsecond=0)
    if night > now:
        night -= timedelta(days=1)
    return last_began_at is None or last_began_at < night
