"""How a rule set comes into force: its states, who moves it between them, and when that takes two people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

from libs.common.errors import Conflict
from services.fraud.domain.rules import Rule, RulesetDocument

RulesetStatus = Literal["draft", "shadow", "live", "retired"]
RulesetAction = Literal["shadow", "unshadow", "put_live"]
Risk = Literal["low", "high"]
RulesetEvent = Literal["drafted", "approved", "shadowed", "unshadowed", "put_live", "retired"]

SHADOWS_MAX: Final = 3
"""How many rule sets judge beside the live one at once."""

TRANSITIONS: Final[Mapping[tuple[RulesetStatus, RulesetAction], RulesetStatus]] = MappingProxyType(
    {
        ("draft", "shadow"): "shadow",
        ("retired", "shadow"): "shadow",
        ("shadow", "unshadow"): "draft",
        ("draft", "put_live"): "live",
        ("shadow", "put_live"): "live",
        ("retired", "put_live"): "live",
    }
)
"""(present status, action) → new status. Whatever was live is retired by its successor, in the same transaction."""


@dataclass(frozen=True, slots=True)
class StoredRuleset:
    """A rule set as stored. `document` is the YAML as it was written, `sha256` that of its UTF-8.

    `approved_*` and `approval_id` are of its newest approval. It stands until it is used, while that set is live
    which was live when it was given, and as long as whoever gave it has kept his roles.
    """

    version: int
    name: str
    status: RulesetStatus
    risk: Risk
    reason: str
    author: str
    created_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    sha256: bytes
    document: str
    approval_id: str | None
    approval_stands: bool


@dataclass(frozen=True, slots=True)
class NotedEvent:
    """One thing that happened to a rule set."""

    action: RulesetEvent
    actor: str
    reason: str
    at: datetime


def move(status: RulesetStatus, action: RulesetAction) -> RulesetStatus:
    """Return the status after the action. Raises: Conflict `ruleset_status`, naming what is possible."""
    target = TRANSITIONS.get((status, action))
    if target is None:
        legal = sorted(possible for known, possible in TRANSITIONS if known == status)
        raise Conflict(
            "ruleset_status", f"A rule set that is {status} cannot do that.", status=status, legal_actions=legal
        )
    return target


def risk_of(document: RulesetDocument, live: RulesetDocument | None) -> Risk:
    """Return `low` for what only looks at more transfers than the live set does, `high` for everything else.

    What lets pass more than before, and what blocks customers without anybody looking, takes two people: so do points
    by which a transfer that nobody held before could be blocked.
    """
    if live is None or (document.review_from, document.block_from) != (live.review_from, live.block_from):
        return "high"
    present = _effects(document)
    if any(present.get(rule.id) != _effect(rule) for rule in live.rules):
        return "high"
    known = {rule.id for rule in live.rules}
    added = [rule for rule in document.rules if rule.id not in known]
    blocks = any("block" in (rule.action, rule.on_error) for rule in added)
    leap = document.block_from - document.review_from
    return "high" if blocks or sum(rule.points for rule in added) > leap else "low"


def has_same_effect(document: RulesetDocument, other: RulesetDocument) -> bool:
    """Tell whether both decide everything alike; titles, messages and examples may differ."""
    thresholds = (document.review_from, document.block_from) == (other.review_from, other.block_from)
    return thresholds and _effects(document) == _effects(other)


def _effects(document: RulesetDocument) -> dict[str, tuple[object, ...]]:
    return {rule.id: _effect(rule) for rule in document.rules}


def _effect(rule: Rule) -> tuple[object, ...]:
    return (rule.when, rule.action, rule.points, rule.on_error, rule.overridable, rule.typology)
