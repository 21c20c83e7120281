"""How much was decided in each hour, and which rules had a say: kept with the decisions, so both always agree."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

RuleOutcome = Literal["hit", "muted", "error"]

LANES: Final = 32

# Both take their rows in the order of the key, so that two transactions that share a lane never wait for each other.
COUNT_DECISIONS: Final = """
    INSERT INTO fraud.decision_counts AS c (hour, verdict, code, reasons, ruleset, lane, decisions, usd_minor)
    SELECT date_trunc('hour', d.decided_at, 'UTC'), {verdict}, {code}, {reasons}, {ruleset}, {lane}, {how_many},
           sum(d.usd_minor)
    FROM {decisions}
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (hour, verdict, code, reasons, ruleset, lane)
    DO UPDATE SET decisions = c.decisions + excluded.decisions, usd_minor = c.usd_minor + excluded.usd_minor
"""

COUNT_RULES: Final = """
    INSERT INTO fraud.rule_counts AS c (hour, rule_id, verdict, outcome, ruleset, lane, decisions, usd_minor)
    SELECT date_trunc('hour', r.hour, 'UTC'), r.rule_id, r.verdict, r.outcome, {ruleset}, {lane}, sum(r.decisions),
           sum(r.usd_minor)
    FROM unnest({hours}::timestamptz[], {rules}::text[], {verdicts}::text[], {outcomes}::text[], {counts}::bigint[],
                {sums}::bigint[])
        AS r (hour, rule_id, verdict, outcome, decisions, usd_minor)
    {only}
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (hour, rule_id, verdict, outcome, ruleset, lane)
    DO UPDATE SET decisions = c.decisions + excluded.decisions, usd_minor = c.usd_minor + excluded.usd_minor
"""


def any_lane() -> int:
    """Return where a process may count, drawn once when it starts, so that two of them seldom wait for one row.

    Its number among processes would not do: in containers each is the first.
    """
    return secrets.randbelow(LANES)


def lane_of_others(lane: int) -> int:
    """Return where the same process counts what is not plain.

    That is a second statement of the transaction. Would it take rows of the lane that the first has taken from, no
    order within each could keep two processes from waiting for each other.
    """
    return LANES + lane


@dataclass(slots=True)
class RuleCounts:
    """Which rules had a say in a unit of work, by the time of the decision, the rule, the verdict and how."""

    _counts: dict[tuple[datetime, str, str, RuleOutcome], list[int]] = field(default_factory=dict)

    def add(
        self, decided_at: datetime, verdict: str, said: Mapping[RuleOutcome, tuple[str, ...]], usd_minor: int
    ) -> None:
        """Count one decision for each rule that had a say in it."""
        for outcome, rule_ids in said.items():
            for rule_id in rule_ids:
                count = self._counts.setdefault((decided_at, rule_id, verdict, outcome), [0, 0])
                count[0] += 1
                count[1] += usd_minor

    def columns(self) -> tuple[list[Any], ...]:
        """Return times, rules, verdicts, outcomes, decisions and US cents, a list each."""
        keys = list(self._counts)
        return (
            [key[0] for key in keys],
            [key[1] for key in keys],
            [key[2] for key in keys],
            [key[3] for key in keys],
            [count[0] for count in self._counts.values()],
            [count[1] for count in self._counts.values()],
        )
