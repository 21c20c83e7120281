"""What happened around one customer, address or device during the last 30 days: counts, sums and counterparts."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

HOUR_US: Final = 3_600_000_000
WINDOWS_US: Final = (HOUR_US, 24 * HOUR_US, 7 * 24 * HOUR_US, 30 * 24 * HOUR_US)
"""The windows of every feature: one hour, 24 hours, 7 days, 30 days."""
MONTH_US: Final = WINDOWS_US[-1]
EVENTS_MAX: Final = 10_000
"""How many events of a subject are remembered: a count beyond it stays at it, and the sum is that of the newest."""

MOMENT_MAX_US: Final = 2**62
_TRIM_FROM: Final = 12_000


class Event(NamedTuple):
    """One transfer as a subject saw it: µs since 1970 UTC, USD minor units, who was on the other side, blocked or not.

    The other side is the payee for a payer, the payer for all other subjects; "" where nobody knows him.
    """

    at_us: int
    usd_minor: int
    other: str
    blocked: bool


class Series:
    """Times and running sums of events: what a window (t − w, t] holds is what came, less what has left it by then.

    Times are µs since 1970 UTC in order; amounts are USD minor units. An event that comes is two numbers, whatever the
    windows; what has left them is searched for only once something has expired.
    """

    __slots__ = ("_left", "_stands_until_us", "_sums", "_times")

    def __init__(self) -> None:
        """Start empty."""
        self._times = array("q")
        self._sums = array("q", (0,))
        self._stands_until_us = MOMENT_MAX_US
        self._left: Sequence[int] = _NOTHING
        """How many events have left each window, and what they were worth together."""

    def __len__(self) -> int:
        """Return how many events are kept."""
        return len(self._times)

    def add(self, at_us: int, usd_minor: int) -> None:
        """Add an event, not before the newest."""
        self._times.append(at_us)
        self._sums.append(self._sums[-1] + usd_minor)
        if at_us + HOUR_US < self._stands_until_us:  # noqa: PLR1730 -- min() is a call, and this runs for every event
            self._stands_until_us = at_us + HOUR_US

    def take_back(self) -> None:
        """Undo the newest `add`."""
        self._times.pop()
        self._sums.pop()
        self._look_again()

    def figures_at(self, now_us: int) -> list[int]:
        """Return count and sum of each window, the shortest first, as of this moment."""
        if now_us >= self._stands_until_us:
            self.advance(now_us)
        count, sum_minor = len(self._times), self._sums[-1]
        count_1h, sum_1h, count_24h, sum_24h, count_7d, sum_7d, count_30d, sum_30d = self._left
        return [
            count - count_1h,
            sum_minor - sum_1h,
            count - count_24h,
            sum_minor - sum_24h,
            count - count_7d,
            sum_minor - sum_7d,
            count - count_30d,
            sum_minor - sum_30d,
        ]

    def advance(self, now_us: int) -> None:
        """Find what has left the windows by this moment."""
        times, sums = self._times, self._sums
        left: list[int] = []
        until_us = MOMENT_MAX_US
        for window_us in WINDOWS_US:
            first = bisect_right(times, now_us - window_us)
            left += (first, sums[first])
            if first < len(times):
                until_us = min(until_us, times[first] + window_us)
        self._left, self._stands_until_us = left, until_us

    def trim(self) -> int:
        """Drop the oldest beyond the bound, and return how many. Their sum stays in all that were made after them."""
        surplus = max(0, len(self._times) - EVENTS_MAX)
        if surplus:
            del self._times[:surplus], self._sums[:surplus]
            self._look_again()
        return surplus

    def _look_again(self) -> None:
        """Forget what has left the windows: the next look searches from the first event on."""
        self._left, self._stands_until_us = _NOTHING, 0


_NOTHING: Final = (0,) * (2 * len(WINDOWS_US))
_NOT_BLOCKED: Final = (0, 0)
_NOBODY: Final = (0,) * len(WINDOWS_US)
_NEVER: Final = -1


class Activity(Series):
    """The events of one subject, exact within 30 days and `EVENTS_MAX`; as it was read at `as_of_us` or later.

    It is the series of those that passed, and knows of the blocked ones besides. Its figures end with the number of
    different counterparts in each window. That needs no set a window: of each counterpart only the latest event counts,
    and is marked. `last_us` is the time of the newest event, blocked or not.
    """

    __slots__ = ("_blocked", "_dropped", "_is_latest", "_latest", "_others_left", "_pairs", "as_of_us", "last_us")

    def __init__(self, as_of_us: int, *, keeps_pairs: bool = False) -> None:
        """Start empty. With `keeps_pairs` it answers `pair` as well, for payers."""
        super().__init__()
        self.as_of_us = as_of_us
        self.last_us = 0
        self._blocked: Series | None = None
        self._dropped = 0
        """How many of the oldest events were dropped: events keep the numbers they came with."""
        self._latest: dict[str, int] = {}
        """Counterpart → number of his latest event."""
        self._is_latest = bytearray()
        """A byte an event: whether it is somebody's latest."""
        self._others_left: Sequence[int] = _NOBODY
        """How many counterparts have left each window."""
        self._pairs: dict[str, Series] | None = {} if keeps_pairs else None

    @classmethod
    def of(cls, events: Iterable[Event], as_of_us: int, *, keeps_pairs: bool = False) -> "Activity":
        """Return the activity made of stored events, in order of time."""
        activity = cls(as_of_us, keeps_pairs=keeps_pairs)
        for event in events:
            activity.count(*event)
        return activity

    @property
    def weight(self) -> int:
        """Return how many events are kept, roughly what it costs in memory."""
        return len(self) + (len(self._blocked) if self._blocked else 0)

    def count(self, now_us: int, usd_minor: int, other: str, blocked: bool) -> int:  # noqa: FBT001 -- an Event's parts
        """Count what happens now; a subject's time never goes back. Returns what `uncount` wants to know."""
        at_us = self.last_us = now_us if now_us > self.last_us else self.last_us  # noqa: FURB136 -- max() is a call
        if blocked:
            if self._blocked is None:
                self._blocked = Series()
            self._blocked.add(at_us, usd_minor)
            return _NEVER
        number = self._dropped + len(self._times)
        self.add(at_us, usd_minor)
        if len(self._times) > _TRIM_FROM:
            self._trim()
        if not other:
            self._is_latest.append(0)
            return _NEVER
        before = self._latest.get(other, _NEVER)
        if before >= 0:
            self._unmark(before - self._dropped)
        self._latest[other] = number
        self._is_latest.append(1)
        if self._pairs is not None:
            pair = self._pairs.get(other)
            if pair is None:
                pair = self._pairs[other] = Series()
            pair.add(at_us, usd_minor)
        return before

    def uncount(self, other: str, before: int, *, blocked: bool) -> None:
        """Undo the newest `count`, which had returned `before`. Its time stays the newest: time never goes back."""
        if blocked:
            if self._blocked is not None:
                self._blocked.take_back()
            return
        self.take_back()
        self._is_latest.pop()
        if not other:
            return
        if before >= self._dropped:
            self._latest[other] = before
            self._is_latest[before - self._dropped] = 1
        else:
            del self._latest[other]
        if self._pairs is not None:
            self._pairs[other].take_back()

    def figures_at(self, now_us: int) -> list[int]:
        """Return what a series does, then the number of different counterparts in each window."""
        figures = Series.figures_at(self, now_us)  # super() makes an object each time
        known = len(self._latest)
        in_1h, in_24h, in_7d, in_30d = self._others_left
        figures += (known - in_1h, known - in_24h, known - in_7d, known - in_30d)
        return figures

    def pair(self, other: str, now_us: int) -> Sequence[int]:
        """Return for each window count and sum of what this payer sent to that payee."""
        series = self._pairs.get(other) if self._pairs else None
        return _NOTHING if series is None else series.figures_at(now_us)

    def blocked(self, now_us: int) -> tuple[int, int]:
        """Return how many events were blocked within the hour and within 24 hours."""
        if self._blocked is None:
            return _NOT_BLOCKED
        figures = self._blocked.figures_at(now_us)
        return (figures[0], figures[2])

    def knows(self, other: str, now_us: int) -> bool:
        """Tell whether this counterpart was seen within 30 days."""
        latest = self._latest.get(other, _NEVER)
        return latest >= 0 and self._times[latest - self._dropped] > now_us - MONTH_US

    def idle_us(self, now_us: int) -> int:
        """Return the time since the newest event that passed, at most 30 days."""
        return min(now_us - self._times[-1], MONTH_US) if self._times else MONTH_US

    def advance(self, now_us: int) -> None:
        """Find what has left the windows by this moment, and whose latest event was among it."""
        before = self._left[::2]
        super().advance(now_us)
        self._others_left = [
            left + self._is_latest.count(1, was, first)
            for left, was, first in zip(self._others_left, before, self._left[::2], strict=True)
        ]

    def _look_again(self) -> None:
        super()._look_again()
        self._others_left = _NOBODY

    def _unmark(self, place: int) -> None:
        """Let the event at this place be nobody's latest any more: a new one is."""
        self._is_latest[place] = 0
        if place < self._left[0]:
            self._others_left = [
                left - (place < first) for left, first in zip(self._others_left, self._left[::2], strict=True)
            ]

    def _trim(self) -> None:
        dropped = self.trim()
        del self._is_latest[:dropped]
        self._dropped += dropped
        self._latest = {other: number for other, number in self._latest.items() if number >= self._dropped}
        if self._pairs is not None:
            self._pairs = {other: pair for other, pair in self._pairs.items() if other in self._latest}
