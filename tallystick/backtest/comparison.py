"""Old verdicts beside new ones: counts, US cents, rules, alerts a day, and the decisions that matter most."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from services.fraud.domain.rulesets import Outcome

VERDICTS: Final = ("approve", "hold", "block")
SAMPLE_MAX: Final = 20


class Total(NamedTuple):
    """So many decisions, worth so much in US cents."""

    decisions: int = 0
    usd_minor: int = 0

    def plus(self, usd_minor: int) -> "Total":
        """Return the total with one more."""
        return Total(self.decisions + 1, self.usd_minor + usd_minor)


class Changed(NamedTuple):
    """A decision that would be another. Compares by what it was worth."""

    usd_minor: int
    transfer_id: str
    rules: tuple[str, ...]
    points: int


@dataclass(slots=True)
class Comparison:
    """Everything a report needs, in memory that does not grow with the number of decisions."""

    cells: defaultdict[tuple[str, str], Total] = field(default_factory=lambda: defaultdict(Total))
    old_hits: Counter[str] = field(default_factory=Counter)
    new_rules: defaultdict[tuple[str, str], Total] = field(default_factory=lambda: defaultdict(Total))
    """(rule, `hit`, `muted` or `error`) → total."""
    alerts: defaultdict[date, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    """Day → what a person had to look at or was blocked by rules, then and now."""
    samples: defaultdict[tuple[str, str], list[Changed]] = field(default_factory=lambda: defaultdict(list))
    """The ones worth most of each change, as heaps."""
    unjudged: Total = field(default_factory=Total)
    """Decisions older than a feature that the rules ask for."""

    @property
    def decisions(self) -> int:
        """Return how many were made again."""
        return sum(total.decisions for total in self.cells.values())

    @property
    def changed(self) -> int:
        """Return how many came out otherwise."""
        return sum(total.decisions for (old, new), total in self.cells.items() if old != new)

    def add(
        self,
        *,
        transfer_id: str,
        day: date,
        usd_minor: int,
        old: str,
        new: str,
        old_hits: Sequence[str],
        alerted: tuple[bool, bool],
        outcome: Outcome,
    ) -> None:
        """Count one decision; `alerted` says whether rules stopped it, then and now."""
        self.cells[old, new] = self.cells[old, new].plus(usd_minor)
        self.old_hits.update(old_hits)
        for said, rule_ids in (("hit", outcome.hits), ("muted", outcome.muted), ("error", outcome.errors)):
            for rule_id in rule_ids:
                self.new_rules[rule_id, said] = self.new_rules[rule_id, said].plus(usd_minor)
        counts = self.alerts[day]
        counts[0] += alerted[0]
        counts[1] += alerted[1]
        if old != new:
            sample, one = self.samples[old, new], Changed(usd_minor, transfer_id, outcome.hits, outcome.points)
            if len(sample) < SAMPLE_MAX:
                heapq.heappush(sample, one)
            else:
                heapq.heappushpop(sample, one)

    def sample(self, old: str, new: str) -> list[Changed]:
        """Return the changes of this kind that are worth most, the largest first."""
        return sorted(self.samples.get((old, new), ()), reverse=True)
