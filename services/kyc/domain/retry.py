"""When somebody who was turned down may ask again: later each time, and not without end."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

RETRY_AFTER: Final = (timedelta(hours=24), timedelta(days=3), timedelta(days=7))
"""How long one waits after the first rejection of a window, after the second, and after any later one."""
REJECTIONS_MAX: Final = 4
"""How many rejections a window holds: whoever has as many waits until the oldest of them has left it."""
REJECTIONS_WITHIN: Final = timedelta(days=30)


def retry_at_after(earlier: Iterable[datetime], now: datetime) -> datetime:
    """Return when somebody may ask again who is turned down now; `earlier` are his rejections until then."""
    window = sorted((at for at in earlier if at > now - REJECTIONS_WITHIN), reverse=True)
    spans = [now + RETRY_AFTER[min(len(window), len(RETRY_AFTER) - 1)]]
    if len(window) >= REJECTIONS_MAX - 1:
        spans.append([now, *window][REJECTIONS_MAX - 1] + REJECTIONS_WITHIN)
    return max(spans)


def is_too_soon(retry_at: datetime | None, now: datetime) -> bool:
    """Tell whether somebody still has to wait before he asks again; None: he does not."""
    return retry_at is not None and now < retry_at
