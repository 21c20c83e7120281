"""A stored decision in words and figures: what each rule saw and said, which limits held, what lists did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from string import Formatter
from typing import Final, Literal

from services.fraud.domain.features import CATALOGUE, PLACES, Consistency, Feature, Value
from services.fraud.domain.moments import from_us
from services.fraud.domain.rule_conditions import Conditions
from services.fraud.domain.rules import Rule, RulesetDocument
from services.fraud.domain.stored_features import Features

RuleSaid = Literal["hit", "muted", "error", "nothing"]

_CENTS: Final = "US cents"
_OF_THE_ROW: Final = ("_age_seconds", "_documents_shared_30d")
"""How features end that come from the customer's row, not from memory of what he did."""
_SUBJECTS: Final = ("sender", "receiver", "pair", "address", "device")


@dataclass(frozen=True, slots=True)
class ShownFeature:
    """A value of the catalogue, one for each receiver. `as_of` is since when a snapshot's memory was complete."""

    name: str
    values: list[Value]
    unit: str
    consistency: Consistency
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry of a list that had a say. Whom it names is not shown."""

    entry_id: str
    list: str
    subject: str
    rule_id: str
    reason: str
    added_by: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ShownRule:
    """A rule of the set that decided. `counted_points` are what it added; `message` is there if it hit."""

    rule_id: str
    title: str
    condition: str
    typology: str
    action: str
    points: int
    said: RuleSaid
    counted_points: int
    message: str | None
    muted_by: list[str]
    reads: dict[str, list[Value]]


@dataclass(frozen=True, slots=True)
class ShownLimit:
    """A limit as it was: US cents or a count of transfers, before this one. A single transfer's has nothing used."""

    limit: str
    unit: str
    limit_set_by: str
    allowed: int
    used: int | None
    remaining: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why it was decided so. `rules` and thresholds are empty where no rule set was live, or nobody asked it."""

    sentence: str
    points: int
    review_from: int | None
    block_from: int | None
    rules: list[ShownRule]
    limits: list[ShownLimit]
    lists: list[ShownEntry]
    catalogue: list[ShownFeature]


def explain(
    features: Features,
    *,
    verdict: str,
    code: str,
    reasons: Sequence[str],
    document: RulesetDocument | None,
    limits: Sequence[ShownLimit],
    entries: Sequence[ShownEntry],
) -> Explanation:
    """Explain a decision from what it stored, the rule set that made it, None for none, and its limits and entries."""
    shown = _features(features)
    asked = document if features.values else None
    by_name = {one.name: one for one in shown}
    rules = [] if asked is None else [_rule(rule, features, by_name, entries) for rule in asked.rules]
    return Explanation(
        sentence=_sentence(features, verdict, code, reasons, asked),
        points=features.points,
        review_from=None if asked is None else asked.review_from,
        block_from=None if asked is None else asked.block_from,
        rules=rules,
        limits=list(limits),
        lists=list(entries),
        catalogue=shown,
    )


def _features(features: Features) -> list[ShownFeature]:
    """Return what was stored by name; decisions made before a feature was added to the catalogue lack it."""
    since = _since(features)
    kept = min((len(values) for values in features.values), default=0)
    return [
        ShownFeature(
            feature.name,
            [values[place] for values in features.values],
            feature.unit,
            feature.consistency,
            _as_of(feature, since),
        )
        for place, feature in enumerate(CATALOGUE[:kept])
    ]


def _since(features: Features) -> dict[str, int]:
    """Return subject → since when its memory was complete, the latest for several receivers; µs since 1970 UTC."""
    if not features.as_of or not features.values:
        return {}
    receivers = 1 + len(features.payees)
    since = {"sender": features.as_of[0], "receiver": max(features.as_of[1:receivers], default=0)}
    rest = list(features.as_of[receivers:])
    for subject in ("address", "device"):
        place = PLACES[f"{subject}_given"]
        if rest and place < len(features.values[0]) and features.values[0][place]:
            since[subject] = rest.pop(0)
    return since | {"pair": since["sender"]}


def _as_of(feature: Feature, since: Mapping[str, int]) -> datetime | None:
    if feature.consistency == "exact" or feature.name.endswith(_OF_THE_ROW):
        return None
    subject = next((one for one in _SUBJECTS if feature.name.startswith(f"{one}_")), "")
    known_us = since.get(subject, 0)
    return from_us(known_us) if known_us else None


def _rule(
    rule: Rule, features: Features, shown: Mapping[str, ShownFeature], entries: Sequence[ShownEntry]
) -> ShownRule:
    condition = Conditions([rule])
    said = _said(rule.id, features)
    message = None
    if said in ("hit", "muted"):
        hit = next((values for values in features.values if condition.evaluate(values)[0]), features.values[0])
        message = _rendered(rule.message, hit)
    muted_by = [
        one.entry_id for one in entries if one.list == "allow" or (one.list == "snooze" and one.rule_id == rule.id)
    ]
    return ShownRule(
        rule_id=rule.id,
        title=rule.title,
        condition=rule.when,
        typology=rule.typology,
        action=rule.action,
        points=rule.points,
        said=said,
        counted_points=rule.points if said == "hit" else 0,
        message=message,
        muted_by=muted_by if said == "muted" else [],
        reads={name: shown[name].values for name in condition.names if name in shown},
    )


def _said(rule_id: str, features: Features) -> RuleSaid:
    if rule_id in features.muted:
        return "muted"
    if rule_id in features.errors:
        return "error"
    return "hit" if rule_id in features.hits else "nothing"


def _rendered(message: str, values: Sequence[Value]) -> str:
    """Return the message with the features it names; nothing else of Python's format language is understood."""
    parts = []
    for text, name, _, _ in Formatter().parse(message):
        parts.append(text)
        if name is not None:
            place = PLACES.get(name, len(values))
            parts.append(_written(CATALOGUE[place], values[place]) if place < len(values) else f"{{{name}}}")
    return "".join(parts)


def _written(feature: Feature, value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return dollars(value) if feature.unit == _CENTS else f"{value:,}"


def dollars(usd_minor: int) -> str:
    """Return US cents as people write them, `1,234.56 USD`."""
    return f"{usd_minor // 100:,}.{usd_minor % 100:02} USD"


_WAITS_FOR: Final = {"review": "a person's review", "kyc_pending": "the receiver's verification"}


def _sentence(
    features: Features, verdict: str, code: str, reasons: Sequence[str], asked: RulesetDocument | None
) -> str:
    if verdict == "approve":
        said = "Approved"
    elif verdict == "hold":
        said = f"Held for {' and '.join(_WAITS_FOR.get(reason, reason) for reason in reasons)}"
    elif features.denied:
        said = "Blocked: an entry of a list forbids it"
    else:
        said = f"Blocked: {code}"
    if asked is None:
        return f"{said}; no rules were asked."
    hits, muted, errors = len(features.hits), len(features.muted), len(features.errors)
    counted = f"{hits} of {len(asked.rules)} rules hit" if hits else f"none of {len(asked.rules)} rules hit"
    others = f", {muted} muted" if muted else ""
    others += f", {errors} could not be computed" if errors else ""
    thresholds = f"a person decides from {asked.review_from} on, {asked.block_from} block"
    return f"{said}; {counted}{others}, {features.points} points ({thresholds})."
