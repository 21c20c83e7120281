"""A rule set as people write it: rules with conditions, points and examples, and from how many points on it acts."""

from typing import Annotated, Final, Literal

import msgspec  # tidy: allow impure-value-code: checks a rule set's shape and bounds; it reads nothing

RULES_MAX: Final = 60
"""A set's hits are the bits of one integer (see `rule_conditions`)."""
EXAMPLES_MAX: Final = 20
CONDITION_MAX: Final = 1_000
POINTS_MAX: Final = 1_000

Action = Literal["score", "review", "block"]
OnError = Literal["review", "block", "ignore"]
Typology = Literal[
    "account_takeover", "card_testing", "money_laundering", "mule", "sanctions", "scam", "velocity", "other"
]
NEUTRAL_TYPOLOGIES: Final[frozenset[Typology]] = frozenset({"money_laundering", "mule", "sanctions"})
"""What nobody may be told that he is suspected of: a block by such a rule names no reason."""

RuleId = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
_Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\n\r]*$")]
_Points = Annotated[int, msgspec.Meta(ge=0, le=POINTS_MAX)]
_Threshold = Annotated[int, msgspec.Meta(ge=1, le=RULES_MAX * POINTS_MAX)]
_Value = bool | Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Features, those not given being 0 or false, and whether the rule must hit on them."""

    given: Annotated[dict[str, _Value], msgspec.Meta(max_length=100)]
    hits: bool


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One reason to look twice.

    `when` is a condition in CEL over the feature catalogue. A hit adds `points`; `review` and `block` act by
    themselves. `on_error` is what a condition that cannot be computed, by a division by zero say, does. Who is allowed
    by a list, or snoozed, mutes a hit of a rule that is `overridable`. `message` explains a hit to staff; `{feature}`
    stands for its value.
    """

    id: RuleId
    title: _Line
    when: Annotated[str, msgspec.Meta(min_length=1, max_length=CONDITION_MAX)]
    message: _Line
    typology: Typology
    examples: Annotated[tuple[Example, ...], msgspec.Meta(min_length=2, max_length=EXAMPLES_MAX)]
    action: Action = "score"
    points: _Points = 0
    on_error: OnError = "review"
    overridable: bool = True


class RulesetDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule set. Points of all hits together: from `review_from` on a person decides, from `block_from` on it ends."""

    name: RuleId
    review_from: _Threshold
    block_from: _Threshold
    rules: Annotated[tuple[Rule, ...], msgspec.Meta(min_length=1, max_length=RULES_MAX)]
