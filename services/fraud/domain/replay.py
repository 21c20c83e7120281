"""A stored decision made again, by the rules that made it or by others: from what it stored, and from nothing else.

What comes before the rules stays as it was: lists, tiers, rates and limits are read from the stored code. So other
rules are not followed into what they would have changed afterwards: a transfer they would have blocked still counts in
the limits and features of those that came after it.
"""

from typing import Final, NamedTuple

from services.fraud.domain.rulesets import NOTHING_HIT, Outcome, Ruleset
from services.fraud.domain.screening import APPROVED, BLOCKED_BY_LIST, BLOCKED_BY_RULES, Ruling, rule_on
from services.fraud.domain.stored_features import Features

_CODES_OF_RULES: Final = frozenset({BLOCKED_BY_LIST.code, BLOCKED_BY_RULES.code})


class FeaturesMissing(Exception):
    """The decision is older than a feature that these rules ask for: nobody knows what they would have said."""


class Replayed(NamedTuple):
    """The verdict, and what the rules said, whether or not something before them decided."""

    ruling: Ruling
    outcome: Outcome


def replay(features: Features, code: str, ruleset: Ruleset | None) -> Replayed:
    """Return the verdict of this rule set, None for none, on a decision with these features and this stored code.

    Raises: FeaturesMissing.
    """
    if features.kind != "transfer":
        return Replayed(_stored(code), NOTHING_HIT)
    is_gated = features.denied or (code != "" and code not in _CODES_OF_RULES)
    outcome = NOTHING_HIT
    if ruleset is not None:
        if all(len(values) >= ruleset.values_asked for values in features.values or ((),)):
            muted = ruleset.muted_by(mutes_all=features.mutes_all, snoozed=features.snoozed)
            outcome = ruleset.judge(features.values, muted=muted)
        elif not is_gated:
            raise FeaturesMissing
    if is_gated:
        return Replayed(_stored(code), outcome)
    return Replayed(rule_on(outcome, (tier for _, tier, _ in features.payees)), outcome)


def _stored(code: str) -> Ruling:
    return Ruling("block", code=code) if code else APPROVED
