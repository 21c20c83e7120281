"""What the watch remembers between transactions: what waits to be judged, tallies, and the payments of some customers.

All of it follows the table, and is forgotten when the table has gone on without it.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from itertools import islice, takewhile
from typing import Final

from services.fraud.domain.aml_edges import Edge
from services.fraud.store.aml_edges import Progress
from services.fraud.store.aml_rings import Rings
from services.fraud.store.aml_tallies import Tallies

WAITING_MAX: Final = 50_000
"""Payments that wait to be judged; of more, all that waits is read from the table."""


class Memory:
    """One process's, bounded in each of its parts. Only whoever holds the progress reads it or changes it."""

    def __init__(
        self, rings: Rings | None = None, tallies: Tallies | None = None, *, waiting_max: int = WAITING_MAX
    ) -> None:
        """Start empty, before the first payment."""
        self.rings = Rings() if rings is None else rings
        self.tallies = Tallies() if tallies is None else tallies
        self._waiting: deque[tuple[datetime, Edge]] = deque()
        self._waiting_max = waiting_max
        self._followed = Progress(0, 0)
        self._waits_after = 0

    def follow(self, edges: Sequence[Edge], heard_at: datetime) -> None:
        """Take in payments that were just stored."""
        if not edges:
            return
        self.rings.follow(edges)
        self.tallies.follow(edges)
        self._followed = self._followed._replace(heard_up_to=edges[-1].edge_no)
        self._waiting.extend((heard_at, edge) for edge in edges)
        if len(self._waiting) > self._waiting_max:
            self._drop_waiting()

    def agree(self, progress: Progress) -> None:
        """Forget everything if the table has gone on without this memory: another process heard, or judged."""
        if progress != self._followed:
            self._followed = progress
            self.forget()

    def waiting(self, progress: Progress, *, settled_before: datetime, now: datetime, limit: int) -> list[Edge] | None:
        """Return what is to be judged, as `read_unjudged` does; None if not all of it is remembered."""
        if progress.judged_up_to < self._waits_after:
            return None
        settled = takewhile(lambda one: not settled_before < one[0] <= now, islice(self._waiting, limit))
        return [edge for _, edge in settled]

    def note_judged(self, edge_no: int) -> None:
        """Let go of what need not wait any more."""
        self._followed = self._followed._replace(judged_up_to=edge_no)
        while self._waiting and self._waiting[0][1].edge_no <= edge_no:
            self._waiting.popleft()

    def forget(self) -> None:
        """Forget everything: nobody knows what was committed."""
        self.rings.forget()
        self.tallies.forget()
        self._drop_waiting()

    def shrink(self) -> None:
        """Keep within the bounds."""
        self.rings.shrink()
        self.tallies.shrink()

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._waits_after = self._followed.heard_up_to
