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
    """Times and running sums: any window (t − w, t] is two searches, done anew only once something has expired.

    Times are µs since 1970 UTC in order; amounts are USD minor units. `figures` are count and sum of each window, the
    shortest first, as of the last `advance`.
    """

    __slots__ = ("_stands_until_us", "_sums", "_times", "figures")

    def __init__(self, figures: int = 2 * len(WINDOWS_US)) -> None:
        """Start empty, with so many figures, those beyond counts and sums being for whoever derives from this."""
        self._times = array("q")
        self._sums = array("q", (0,))
        self._stands_until_us = MOMENT_MAX_US
        self.figures = [0] * figures

    def __len__(self) -> int:
        """Return how many events are kept."""
        return len(self._times)

    def add(self, at_us: int, usd_minor: int) -> None:
        """Add an event, not before the newest."""
        if at_us >= self._stands_until_us:
            self.advance(at_us)
        self._times.append(at_us)
        self._sums.append(self._sums[-1] + usd_minor)
        figures = self.figures
        figures[0] += 1
        figures[1] += usd_minor
        figures[2] += 1
        figures[3] += usd_minor
        figures[4] += 1
        figures[5] += usd_minor
        figures[6] += 1
        figures[7] += usd_minor
        if at_us + HOUR_US < self._stands_until_us:  # noqa: PLR1730 -- min() is a call, and this runs for every event
            self._stands_until_us = at_us + HOUR_US

    def take_back(self) -> None:
        """Undo the newest `add`."""
        self._times.pop()
        self._sums.pop()
        self._stands_until_us = 0

    def figures_at(self, now_us: int) -> list[int]:
        """Return the figures of this moment: to be read at once, not kept."""
        if now_us >= self._stands_until_us:
            self.advance(now_us)
        return self.figures

    def advance(self, now_us: int) -> None:
        """Bring the figures to this moment."""
        times, sums, end = self._times, self._sums, len(self._times)
        until_us = MOMENT_MAX_US
        for place, window_us in enumerate(WINDOWS_US):
            first = bisect_right(times, now_us - window_us)
            self.figures[2 * place] = end - first
            self.figures[2 * place + 1] = sums[end] - sums[first]
            if first < end:
                until_us = min(until_us, times[first] + window_us)
        self._stands_until_us = until_us

    def trim(self) -> None:
        """Drop the oldest beyond the bound. Sums stay differences, so they need no new start."""
        surplus = len(self._times) - EVENTS_MAX
        if surplus > 0:
            del self._times[:surplus], self._sums[:surplus]
            self._stands_until_us = 0


_NO_PAIR: Final = (0,) * (2 * len(WINDOWS_US))
_NOT_BLOCKED: Final = (0, 0)
_COUNTERPARTS: Final = 2 * len(WINDOWS_US)
"""Where the counts of counterparts begin among an activity's figures."""


class Activity(Series):
    """The events of one subject, exact within 30 days and `EVENTS_MAX`; as it was read at `as_of_us` or later.

    It is the series of those that passed, and knows of the blocked ones besides. Its figures end with the number of
    different counterparts in each window. That needs no set a window: of each counterpart only the latest time matters,
    and those times stay sorted. `last_us` is the time of the newest event, blocked or not.
    """

    __slots__ = ("_blocked", "_latest", "_pairs", "_seen_at", "as_of_us", "last_us")

    def __init__(self, as_of_us: int, *, keeps_pairs: bool = False) -> None:
        """Start empty. With `keeps_pairs` it answers `pair` as well, for payers."""
        super().__init__(3 * len(WINDOWS_US))
        self.as_of_us = as_of_us
        self.last_us = 0
        self._blocked: Series | None = None
        self._latest: dict[str, int] = {}
        self._seen_at = array("q")
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
            return 0
        self.add(at_us, usd_minor)
        if len(self._times) > _TRIM_FROM:
            self._trim()
        if not other:
            return 0
        before_us = self._latest.get(other, 0)
        if not before_us:
            self._latest[other] = at_us
            self._seen_at.append(at_us)
            figures = self.figures
            figures[8] += 1
            figures[9] += 1
            figures[10] += 1
            figures[11] += 1
        else:
            if before_us <= at_us - HOUR_US:
                for place, window_us in enumerate(WINDOWS_US, _COUNTERPARTS):
                    self.figures[place] += before_us <= at_us - window_us
            self._see(other, before_us, at_us)
        if self._pairs is not None:
            pair = self._pairs.get(other)
            if pair is None:
                pair = self._pairs[other] = Series()
            pair.add(at_us, usd_minor)
        return before_us

    def uncount(self, other: str, before_us: int, *, blocked: bool) -> None:
        """Undo the newest `count`, which had returned `before_us`. Its time stays the newest: time never goes back."""
        if blocked:
            if self._blocked is not None:
                self._blocked.take_back()
            return
        at_us = self._times[-1]
        self.take_back()
        if not other:
            return
        self._see(other, at_us, before_us)
        if self._pairs is not None:
            self._pairs[other].take_back()

    def pair(self, other: str, now_us: int) -> Sequence[int]:
        """Return for each window count and sum of what this payer sent to that payee."""
        series = self._pairs.get(other) if self._pairs else None
        return _NO_PAIR if series is None else series.figures_at(now_us)

    def blocked(self, now_us: int) -> tuple[int, int]:
        """Return how many events were blocked within the hour and within 24 hours."""
        if self._blocked is None:
            return _NOT_BLOCKED
        figures = self._blocked.figures_at(now_us)
        return (figures[0], figures[2])

    def knows(self, other: str, now_us: int) -> bool:
        """Tell whether this counterpart was seen within 30 days."""
        return self._latest.get(other, 0) > now_us - MONTH_US

    def idle_us(self, now_us: int) -> int:
        """Return the time since the newest event that passed, at most 30 days."""
        return min(now_us - self._times[-1], MONTH_US) if self._times else MONTH_US

    def advance(self, now_us: int) -> None:
        """Bring the figures to this moment."""
        super().advance(now_us)
        # A counterpart's latest time expires with the event of that time: where no event has, none of them has.
        known = len(self._seen_at)
        self.figures[_COUNTERPARTS:] = [known - bisect_right(self._seen_at, now_us - span_us) for span_us in WINDOWS_US]

    def _see(self, other: str, from_us: int, to_us: int) -> None:
        """Move a counterpart's latest time; as `to_us`, 0 stands for never."""
        seen_at = self._seen_at
        if to_us >= from_us == seen_at[-1]:
            seen_at[-1] = self._latest[other] = to_us
            return
        del seen_at[bisect_right(seen_at, from_us) - 1]
        if not to_us:
            del self._latest[other]
            return
        self._latest[other] = to_us
        if not seen_at or seen_at[-1] <= to_us:
            seen_at.append(to_us)
        else:
            seen_at.insert(bisect_right(seen_at, to_us), to_us)

    def _trim(self) -> None:
        self.trim()
        first_us = self._times[0]
        for other in [other for other, at_us in self._latest.items() if at_us < first_us]:
            self._see(other, self._latest[other], 0)
            if self._pairs is not None:
                del self._pairs[other]
