"""What was decided in some days, for staff: by verdict, code, reason of holds, rule, hour and day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeVar

from libs.common.clock import to_rfc3339
from libs.common.db.reading import Reading
from libs.common.http.days import Days
from services.fraud.store.statistics import Part, Sum, sum_up

_Key = TypeVar("_Key", bound=date)


@dataclass(frozen=True, slots=True)
class Counted:
    """So many decisions, worth so much in US cents."""

    decisions: int = 0
    usd_minor: int = 0

    def plus(self, other: "Counted") -> "Counted":
        """Return both together."""
        return Counted(self.decisions + other.decisions, self.usd_minor + other.usd_minor)


@dataclass(frozen=True, slots=True)
class VerdictCount(Counted):
    """Decisions of a verdict."""

    verdict: str = ""


@dataclass(frozen=True, slots=True)
class CodeCount(Counted):
    """Decisions that blocked with a code."""

    code: str = ""


@dataclass(frozen=True, slots=True)
class HoldReasonCount(Counted):
    """Decisions that held for a reason; who waits for two is counted under both."""

    hold_reason: str = ""


@dataclass(frozen=True, slots=True)
class RuleCount:
    """Decisions in which a rule had a say; one that several rules hit is counted under each."""

    rule_id: str
    hits: Counted
    muted: Counted
    errors: Counted


@dataclass(frozen=True, slots=True)
class HourCount:
    """Decisions of an hour; `hour` is its beginning, UTC."""

    hour: str
    approve: Counted
    hold: Counted
    block: Counted


@dataclass(frozen=True, slots=True)
class DayCount:
    """Decisions of a day, UTC."""

    day: date
    approve: Counted
    hold: Counted
    block: Counted


@dataclass(frozen=True, slots=True)
class FraudStatistics:
    """Sums over the days from `start_date` to `end_date`, both included, UTC. Hours and days without decisions lack.

    `total`, `by_verdict`, `by_hour` and `by_day` each count every decision once.
    """

    start_date: date
    end_date: date
    asset: Literal["USD"]
    total: Counted
    by_verdict: list[VerdictCount]
    by_code: list[CodeCount]
    by_hold_reason: list[HoldReasonCount]
    by_rule: list[RuleCount]
    by_hour: list[HourCount]
    by_day: list[DayCount]


class ShowStatistics:
    """Reads what was counted in the transactions that decided. Raises: Unavailable."""

    def __init__(self, reading: Reading) -> None:
        """Use connections for reading, not the one that decides."""
        self._reading = reading

    async def __call__(self, start_date: date, end_date: date, days: Days) -> FraudStatistics:
        """Return the statistics of these days."""
        async with self._reading.connection() as connection:
            sums = await sum_up(connection, days)
        verdicts = _of("verdict", sums)
        hours = _by_verdict((one.hour, one) for one in _of("hour", sums) if one.hour is not None)
        by_day = _by_verdict((one.hour.date(), one) for one in _of("hour", sums) if one.hour is not None)
        return FraudStatistics(
            start_date=start_date,
            end_date=end_date,
            asset="USD",
            total=_total(verdicts),
            by_verdict=[VerdictCount(one.decisions, one.usd_minor, one.name) for one in verdicts],
            by_code=[CodeCount(one.decisions, one.usd_minor, one.name) for one in _of("code", sums)],
            by_hold_reason=[
                HoldReasonCount(one.decisions, one.usd_minor, one.name) for one in _of("hold_reason", sums)
            ],
            by_rule=_by_rule(_of("rule", sums)),
            by_hour=[HourCount(to_rfc3339(hour), **counts) for hour, counts in hours.items()],
            by_day=[DayCount(day, **counts) for day, counts in by_day.items()],
        )


def _of(part: Part, sums: Sequence[Sum]) -> list[Sum]:
    return [one for one in sums if one.part == part]


def _total(sums: Iterable[Sum]) -> Counted:
    total = Counted()
    for one in sums:
        total = total.plus(Counted(one.decisions, one.usd_minor))
    return total


def _by_verdict(sums: Iterable[tuple[_Key, Sum]]) -> dict[_Key, dict[str, Counted]]:
    """Return key → verdict → count, with every verdict, in the order of the keys."""
    found: dict[_Key, dict[str, Counted]] = {}
    for key, one in sums:
        verdicts = found.setdefault(key, {verdict: Counted() for verdict in ("approve", "hold", "block")})
        verdicts[one.name] = verdicts[one.name].plus(Counted(one.decisions, one.usd_minor))
    return found


def _by_rule(sums: Iterable[Sum]) -> list[RuleCount]:
    found: dict[str, dict[str, Counted]] = {}
    for one in sums:
        found.setdefault(one.name, {})[one.detail] = Counted(one.decisions, one.usd_minor)
    nothing = Counted()
    return [
        RuleCount(rule_id, said.get("hit", nothing), said.get("muted", nothing), said.get("error", nothing))
        for rule_id, said in found.items()
    ]
