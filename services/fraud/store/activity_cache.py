"""The activity of payers, payees, addresses and devices in memory. What is not there is read, all in one round trip."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
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
_FULL_PER_CENT: Final = 90

Subjects = Sequence[Iterable[str | int]]
"""Payers, payees, addresses and devices, in this order."""
Key = tuple[int, str | int]
"""Kind (0 payer, 1 payee, 2 address, 3 device) and which one."""


class ActivityCache:
    """The most recently used subjects, bounded in number and in events. Forgetting costs one query."""

    def __init__(self, *, subjects_max: int = SUBJECTS_MAX, events_max: int = EVENTS_MAX) -> None:
        """Start empty."""
        self._subjects: OrderedDict[Key, Activity] = OrderedDict()
        self._subjects_max = subjects_max
        self._events_max = events_max
        self._events_at_most = 0

    def __len__(self) -> int:
        """Return how many subjects are remembered."""
        return len(self._subjects)

    async def around(
        self,
        connection: asyncpg.Connection,
        kinds: Subjects,
        now: datetime,
    ) -> dict[Key, Activity]:
        """Return the activity of all these payers, payees, addresses and devices, reading what memory lacks."""
        now_us = to_us(now)
        wanted: dict[Key, Activity] = {}
        missing: list[list[str | int]] = []
        for kind, keys in enumerate(kinds):
            missing.append([])
            for key in keys:
                activity = self._subjects.get((kind, key))
                if activity is None or now_us - activity.as_of_us > FRESH_US:
                    missing[kind].append(key)
                else:
                    self._subjects.move_to_end((kind, key))
                    wanted[kind, key] = activity
        if any(missing):
            found = await load_events(connection, missing, now)
            for kind, asked in enumerate(missing):
                for key in asked:
                    activity = Activity.of(found[kind].get(key, ()), now_us, keeps_pairs=kind == 0)
                    wanted[kind, key] = self._subjects[kind, key] = activity
                    self._events_at_most += activity.weight
        return wanted

    def forget(self, keys: Iterable[Key]) -> None:
        """Drop subjects whose memory ran ahead of a commit that failed."""
        for key in keys:
            self._subjects.pop(key, None)

    def shrink(self, *, events_added: int) -> None:
        """Keep within the bounds, after a unit of work that added so many; the longest unused go first."""
        self._events_at_most += events_added
        if len(self._subjects) <= self._subjects_max and self._events_at_most <= self._events_max:
            return
        events = sum(activity.weight for activity in self._subjects.values())
        while self._subjects and (
            len(self._subjects) * 100 > self._subjects_max * _FULL_PER_CENT
            or events * 100 > self._events_max * _FULL_PER_CENT
        ):
            _, dropped = self._subjects.popitem(last=False)
            events -= dropped.weight
        self._events_at_most = events
