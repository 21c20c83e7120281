"""What a payer has used of his limits during the last 24 hours: a sliding window, exact to the microsecond."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US

_COMPACT_FROM: Final = 256


class Window:
    """The slots that count at a moment t: those taken in (t − 24 h, t], in the order they were taken.

    Times are µs since 1970 UTC and never go back within one window; amounts are USD minor units. Two flat arrays and
    two pointers instead of objects: 16 bytes a slot, and expiry moves a pointer. `hour_count` and `day_count` are how
    many slots were taken in the hour and the 24 hours before the last `advance`, `day_sum_minor` is what the latter
    are worth together.
    """

    __slots__ = (
        "_day_from",
        "_hour_from",
        "_minors",
        "_stands_until_us",
        "_times",
        "day_count",
        "day_sum_minor",
        "hour_count",
    )

    def __init__(self, slots: Iterable[tuple[int, int]] = ()) -> None:
        """Take stored slots, (time µs, USD minor), in order of time."""
        self._times = array("q")
        self._minors = array("q")
        self._day_from = 0
        self._hour_from = 0
        self._stands_until_us = 0
        self.hour_count = self.day_count = self.day_sum_minor = 0
        for taken_us, usd_minor in slots:
            self.take(taken_us, usd_minor)

    def __len__(self) -> int:
        """Return how many slots are kept, some of which may have expired since the last `advance`."""
        return len(self._times)

    def advance(self, now_us: int) -> None:
        """Let slots expire: one taken exactly an hour or a day ago no longer counts."""
        if now_us < self._stands_until_us:
            return
        times, minors, end = self._times, self._minors, len(self._times)
        oldest, horizon_us = self._day_from, now_us - DAY_US
        while oldest < end and times[oldest] <= horizon_us:
            self.day_sum_minor -= minors[oldest]
            oldest += 1
        recent, horizon_us = max(self._hour_from, oldest), now_us - HOUR_US
        while recent < end and times[recent] <= horizon_us:
            recent += 1
        self._move(oldest, recent)
        # What is taken from now on expires no earlier than an hour from now.
        self._stands_until_us = min(
            times[oldest] + DAY_US if oldest < end else now_us + HOUR_US,
            times[recent] + HOUR_US if recent < end else now_us + HOUR_US,
        )

    def _move(self, day_from: int, hour_from: int) -> None:
        self._day_from, self._hour_from = day_from, hour_from
        self.day_count, self.hour_count = len(self._times) - day_from, len(self._times) - hour_from

    def rewind(self, now_us: int) -> None:
        """Let slots count again that an `advance` beyond this moment took out. `now_us` is not before the `compact`."""
        times, minors = self._times, self._minors
        oldest, horizon_us = self._day_from, now_us - DAY_US
        while oldest and times[oldest - 1] > horizon_us:
            oldest -= 1
            self.day_sum_minor += minors[oldest]
        recent, horizon_us = self._hour_from, now_us - HOUR_US
        while recent > oldest and times[recent - 1] > horizon_us:
            recent -= 1
        self._move(oldest, recent)
        self._stands_until_us = 0

    def take(self, now_us: int, usd_minor: int) -> None:
        """Use a slot now. `now_us` is not before the newest slot."""
        self._times.append(now_us)
        self._minors.append(usd_minor)
        self.hour_count += 1
        self.day_count += 1
        self.day_sum_minor += usd_minor

    def take_back(self) -> None:
        """Undo the newest `take`; nothing may have expired since."""
        self._times.pop()
        self.hour_count -= 1
        self.day_count -= 1
        self.day_sum_minor -= self._minors.pop()

    def release(self, taken_us: int, usd_minor: int) -> None:
        """Give back one slot of this time and amount; one that has expired is left alone."""
        times = self._times
        place = bisect_left(times, taken_us, self._day_from)
        while place < len(times) and times[place] == taken_us:
            if self._minors[place] == usd_minor:
                del times[place], self._minors[place]
                self.day_sum_minor -= usd_minor
                self._move(self._day_from, self._hour_from - (place < self._hour_from))
                return
            place += 1

    def count_frees_at(self, free: int, *, window_us: int) -> int:
        """Return when `free` more slots of the last hour (or day) will have expired; 1 ≤ free ≤ their count."""
        first = self._hour_from if window_us == HOUR_US else self._day_from
        return self._times[first + free - 1] + window_us

    def sum_frees_at(self, free_minor: int) -> int | None:
        """Return when `free_minor` of the day's sum will have expired; None when the sum is smaller than that."""
        for place in range(self._day_from, len(self._times)):
            free_minor -= self._minors[place]
            if free_minor <= 0:
                return self._times[place] + DAY_US
        return None

    def compact(self) -> None:
        """Drop slots that have expired for good, once they are many: time will not go back before this."""
        expired = self._day_from
        if expired > _COMPACT_FROM and expired * 2 > len(self._times):
            del self._times[:expired], self._minors[:expired]
            self._day_from = 0
            self._hour_from -= expired
