"""What a rule set in the shadow would have decided, beside what was decided, for staff who may put it live."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from libs.common.clock import to_rfc3339
from libs.common.db.reading import Reading
from libs.common.errors import NotFound
from libs.common.http.days import Days
from services.fraud.domain.ruleset_life import RulesetStatus
from services.fraud.store.rulesets import find_ruleset
from services.fraud.store.shadow_comparison import (
    Differing,
    ShadowSum,
    Span,
    list_differing,
    list_spans,
    sum_up_shadow,
)
from services.fraud.views.fraud_statistics import Counted

_NOTHING = Counted()


@dataclass(frozen=True, slots=True)
class ShadowCell(Counted):
    """Decisions that were made with one verdict and would have been made with another, or the same."""

    live_verdict: str = ""
    shadow_verdict: str = ""


@dataclass(frozen=True, slots=True)
class ShadowRule:
    """Decisions in which a rule had a say: `live` of the set that decided, the others of the set in the shadow."""

    rule_id: str
    live: Counted
    hits: Counted
    muted: Counted
    errors: Counted


@dataclass(frozen=True, slots=True)
class ShadowHour:
    """Decisions of an hour; `hour` is its beginning, UTC."""

    hour: str
    is_whole: bool
    made: int
    judged: int
    changed: int
    failed: int
    dropped: int


@dataclass(frozen=True, slots=True)
class ShadowSpan:
    """When the rule set was in the shadow; `ends_at` null: it still is."""

    begins_at: str
    ends_at: str | None


@dataclass(frozen=True, slots=True)
class ShadowComparison:
    """A comparison over the days from `start_date` to `end_date`, both included, UTC.

    Every decision of an hour in which the set was in the shadow, for all of it or a part, is one of `made`, and that is
    what `judged`, `failed`, `dropped`, `missing` and `undetermined` add up to. `by_verdict` adds up to `judged`.
    """

    version: int
    status: RulesetStatus
    start_date: date
    end_date: date
    asset: Literal["USD"]
    in_shadow: list[ShadowSpan]
    made: Counted
    judged: Counted
    changed: Counted
    failed: Counted
    dropped: Counted
    missing: Counted
    undetermined: Counted
    by_verdict: list[ShadowCell]
    by_rule: list[ShadowRule]
    by_hour: list[ShadowHour]


@dataclass(frozen=True, slots=True)
class ChangedDecision:
    """A decision that would have been another. `shadow_verdict` is `error` if the rule set could not be asked."""

    decision_id: str
    transfer_id: str
    decided_at: str
    usd_minor: int
    live_verdict: str
    shadow_verdict: str
    code: str
    points: int
    hits: list[str]
    muted: list[str]
    errors: list[str]
    live_hits: list[str]

    @classmethod
    def of(cls, one: Differing) -> "ChangedDecision":
        """Return it as it is shown."""
        return cls(
            decision_id=one.decision_id,
            transfer_id=one.transfer_id,
            decided_at=to_rfc3339(one.decided_at),
            usd_minor=one.usd_minor,
            live_verdict=one.live_verdict,
            shadow_verdict=one.verdict,
            code=one.code,
            points=one.points,
            hits=one.hits,
            muted=one.muted,
            errors=one.errors,
            live_hits=one.live_hits,
        )


class ShowShadow:
    """Reads what was counted as the shadow judged. Raises: NotFound `ruleset_not_found`; Unavailable."""

    def __init__(self, reading: Reading) -> None:
        """Use connections for reading, not the one that decides."""
        self._reading = reading

    async def compare(self, version: int, start_date: date, end_date: date, days: Days) -> ShadowComparison:
        """Return the comparison of these days."""
        async with self._reading.connection() as connection:
            ruleset = await find_ruleset(connection, version)
            if ruleset is None:
                raise _not_found()
            spans = await list_spans(connection, version, days)
            sums = await sum_up_shadow(connection, version, days)
        cells = [one for one in sums if one.part == "cell"]
        judged = [one for one in cells if one.detail not in ("error", "dropped")]
        hours = _by_hour(sums)
        return ShadowComparison(
            version=version,
            status=ruleset.status,
            start_date=start_date,
            end_date=end_date,
            asset="USD",
            in_shadow=[_span(one) for one in spans],
            made=_total([one for one in sums if one.part == "made"]),
            judged=_total(judged),
            changed=_total([one for one in judged if one.name != one.detail]),
            failed=_total([one for one in cells if one.detail == "error"]),
            dropped=_total([one for one in cells if one.detail == "dropped"]),
            missing=_unaccounted(sums, "whole"),
            undetermined=_unaccounted(sums, "part"),
            by_verdict=[ShadowCell(one.decisions, one.usd_minor, one.name, one.detail) for one in judged],
            by_rule=_by_rule([one for one in sums if one.part == "rule"]),
            by_hour=hours,
        )

    async def changed(
        self, version: int, days: Days, *, reader_id: str, before_id: str | None, limit: int
    ) -> list[ChangedDecision]:
        """Return a page of what it would have decided otherwise, newest first, behind the decision `before_id`.

        What the reader himself sent is left out.
        """
        async with self._reading.connection() as connection:
            if await find_ruleset(connection, version) is None:
                raise _not_found()
            found = await list_differing(
                connection, version, days, reader_id=reader_id, before_id=before_id, limit=limit
            )
        return [ChangedDecision.of(one) for one in found]


def _not_found() -> NotFound:
    return NotFound("ruleset_not_found", "There is no rule set of this version.")


def _span(span: Span) -> ShadowSpan:
    return ShadowSpan(to_rfc3339(span.begins_at), None if span.ends_at is None else to_rfc3339(span.ends_at))


def _total(sums: Sequence[ShadowSum]) -> Counted:
    return Counted(sum(one.decisions for one in sums), sum(one.usd_minor for one in sums))


def _unaccounted(sums: Sequence[ShadowSum], how: Literal["whole", "part"]) -> Counted:
    """Return what was made in hours of this kind and of which nothing was heard in the shadow."""
    made = [one for one in sums if one.part == "made" and one.name == how]
    hours = {one.hour for one in made}
    heard_of = [one for one in sums if one.part == "hour" and one.hour in hours]
    all_made, all_heard = _total(made), _total(heard_of)
    return Counted(all_made.decisions - all_heard.decisions, all_made.usd_minor - all_heard.usd_minor)


def _by_hour(sums: Sequence[ShadowSum]) -> list[ShadowHour]:
    said = {(one.hour, one.name): one.decisions for one in sums if one.part == "hour"}
    return [
        ShadowHour(
            hour=to_rfc3339(one.hour),
            is_whole=one.name == "whole",
            made=one.decisions,
            judged=said.get((one.hour, "same"), 0) + said.get((one.hour, "changed"), 0),
            changed=said.get((one.hour, "changed"), 0),
            failed=said.get((one.hour, "error"), 0),
            dropped=said.get((one.hour, "dropped"), 0),
        )
        for one in sums
        if one.part == "made" and one.hour is not None
    ]


def _by_rule(sums: Sequence[ShadowSum]) -> list[ShadowRule]:
    found: dict[str, dict[str, Counted]] = {}
    for one in sums:
        found.setdefault(one.name, {})[one.detail] = Counted(one.decisions, one.usd_minor)
    return [
        ShadowRule(
            rule_id,
            live=said.get("live_hit", _NOTHING),
            hits=said.get("hit", _NOTHING),
            muted=said.get("muted", _NOTHING),
            errors=said.get("error", _NOTHING),
        )
        for rule_id, said in found.items()
    ]
