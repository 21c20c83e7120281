"""Decisions that wait to be judged by the rule sets in the shadow: in memory, bounded, and lost with the process.

Whoever decides only appends. What finds no room is counted, by hour and rule set, and never judged: a comparison that
lacks decisions is worth more than decisions that wait for one.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from services.fraud.domain.rulesets import Ruleset
from services.fraud.metrics import SHADOW_DROPPED, SHADOW_WAITING
from services.fraud.store.decisions import NewDecision
from services.fraud.store.shadow_decisions import Dropped

WAITING_MAX: Final = 20_000
"""Decisions; with the features they stored, 1.5 KB each, 30 MB."""
PAGE: Final = 200


class Waiting(NamedTuple):
    """Decisions of one unit of work, and the rule sets that were in the shadow when they were made."""

    shadows: tuple[Ruleset, ...]
    decisions: Sequence[NewDecision]


class ShadowQueue:
    """Decisions in the order in which they were made. One puts, one takes."""

    def __init__(self) -> None:
        """Start with nothing waiting."""
        self._waiting: deque[Waiting] = deque()
        self._decisions = 0
        self._dropped: dict[Dropped, list[int]] = {}

    def __len__(self) -> int:
        """Return how many decisions wait."""
        return self._decisions

    def put(self, shadows: tuple[Ruleset, ...], decisions: Sequence[NewDecision]) -> None:
        """Let committed decisions wait; where there is no room for all of them, none does."""
        if self._decisions + len(decisions) > WAITING_MAX:
            self._drop(Waiting(shadows, decisions))
            return
        for first in range(0, len(decisions), PAGE):
            self._waiting.append(Waiting(shadows, decisions[first : first + PAGE]))
        self._decisions += len(decisions)
        SHADOW_WAITING.set(self._decisions)

    def oldest(self) -> list[Waiting]:
        """Return what waits longest, a page of decisions at most. It waits on until it is done or given up."""
        page: list[Waiting] = []
        room = PAGE
        for waiting in self._waiting:
            room -= len(waiting.decisions)
            if room < 0:
                break
            page.append(waiting)
        return page

    def done(self, page: Sequence[Waiting]) -> None:
        """Stop keeping the oldest, which were judged."""
        for waiting in page:
            self._waiting.popleft()
            self._decisions -= len(waiting.decisions)
        SHADOW_WAITING.set(self._decisions)

    def give_up(self, page: Sequence[Waiting]) -> None:
        """Stop keeping the oldest, which cannot be written; they count as dropped."""
        for waiting in page:
            self._drop(waiting)
        self.done(page)

    def take_dropped(self) -> Mapping[Dropped, Sequence[int]]:
        """Return what was dropped since the last call, key → [decisions, US cents], and forget it."""
        dropped, self._dropped = self._dropped, {}
        return dropped

    def _drop(self, waiting: Waiting) -> None:
        SHADOW_DROPPED.inc(len(waiting.decisions))
        for decision in waiting.decisions:
            hour = decision.decided_at.replace(minute=0, second=0, microsecond=0)
            for shadow in waiting.shadows:
                count = self._dropped.setdefault(Dropped(hour, shadow.version, decision.verdict), [0, 0])
                count[0] += 1
                count[1] += decision.usd_minor
