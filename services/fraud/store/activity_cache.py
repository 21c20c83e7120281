"""The activity of payers, payees, addresses and devices in memory. What is not there is read, all in one round trip."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg

from services.fraud.domain.activity import Activity
from services.fraud.domain.moments import to_us
from services.fraud.store.activity import load_events

SUBJECTS_MAX: Final = 200_000
EVENTS_MAX: Final = 2_000_000
FRESH_US: Final = 10 * 60 * 1_000_000
"""How long memory is believed: others may have decided meanwhile. Within it a snapshot may lag behind them."""
_KINDS: Final = 4

Subjects = Sequence[Iterable[str | int]]
"""Payers, payees, addresses and devices, in this order."""
Known = Sequence[Mapping[str | int, Activity]]
"""Their activity, in the same order."""
NOBODY_KNOWN: Final[Known] = ({}, {}, {}, {})


class ActivityCache:
    """The most recently used subjects, bounded in number and in events. Forgetting costs one query.

    Two generations instead of an order of use, which cost each subject three other places in memory: what is used moves
    to the younger one, and once that is half of all, the older one goes.
    """

    def __init__(self, *, subjects_max: int = SUBJECTS_MAX, events_max: int = EVENTS_MAX) -> None:
        """Start empty."""
        self._young = _no_subjects()
        self._old = _no_subjects()
        self._subjects_max = subjects_max
        self._events_max = events_max
        self._young_events_at_most = 0

    def __len__(self) -> int:
        """Return how many subjects are remembered."""
        return sum(map(len, (*self._young, *self._old)))

    async def around(self, connection: asyncpg.Connection, subjects: Subjects, now: datetime) -> Known:
        """Return the activity of all these payers, payees, addresses and devices, reading what memory lacks."""
        now_us = to_us(now)
        believed_from_us = now_us - FRESH_US
        known = _no_subjects()
        missing: list[list[str | int]] = []
        for keys, young, old, found in zip(subjects, self._young, self._old, known, strict=True):
            lacking: list[str | int] = []
            for key in keys:
                activity = young.get(key)
                if activity is None and (activity := old.pop(key, None)) is not None:
                    young[key] = activity
                    self._young_events_at_most += activity.weight
                if activity is None or activity.as_of_us < believed_from_us:
                    lacking.append(key)
                else:
                    found[key] = activity
            missing.append(lacking)
        if any(missing):
            events = await load_events(connection, missing, now)
            for kind, lacking in enumerate(missing):
                for key in lacking:
                    activity = Activity.of(events[kind].get(key, ()), now_us, keeps_pairs=kind == 0)
                    known[kind][key] = self._young[kind][key] = activity
                    self._young_events_at_most += activity.weight
        return known

    def forget(self, subjects: Subjects) -> None:
        """Drop subjects whose memory ran ahead of a commit that failed: they were used, so they are young."""
        for young, keys in zip(self._young, subjects, strict=True):
            for key in keys:
                young.pop(key, None)

    def shrink(self, *, events_added: int) -> None:
        """Keep within the bounds, after a unit of work that added so many events; the longest unused go first."""
        self._young_events_at_most += events_added
        if sum(map(len, self._young)) * 2 > self._subjects_max or self._young_events_at_most * 2 > self._events_max:
            self._old, self._young = self._young, _no_subjects()
            self._young_events_at_most = 0


def _no_subjects() -> list[dict[str | int, Activity]]:
    return [{} for _ in range(_KINDS)]
