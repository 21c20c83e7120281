"""Rule sets: what is refused when they are written, what hits amount to, and when they take two people."""

from typing import get_args

import msgspec
import pytest

from libs.common.errors import Conflict, Unprocessable
from services.fraud.domain.features import CATALOGUE, PLACES, Value
from services.fraud.domain.rules import Rule, RulesetDocument
from services.fraud.domain.ruleset_life import TRANSITIONS, RulesetAction, RulesetStatus, move, risk_of
from services.fraud.domain.ruleset_reading import read_ruleset, values_given
from services.fraud.domain.ruleset_yaml import BYTES_MAX
from services.fraud.domain.rulesets import NOTHING_HIT, Ruleset
from services.fraud.use_cases.publish_shipped_rules import shipped_rules

TEXT = """\
name: tried
review_from: 100
block_from: 200
rules:
- id: first
  title: First payment
  when: pair_count_30d == 0 && usd_minor >= 500000
  message: "First: {usd_minor}"
  typology: account_takeover
  points: 40
  examples:
  - {given: {usd_minor: 500000}, hits: true}
  - {given: {usd_minor: 499999}, hits: false}
- id: second
  title: From a new device
  when: device_given && !device_known
  message: A new device
  typology: account_takeover
  points: 60
  examples:
  - {given: {device_given: true}, hits: true}
  - {given: {}, hits: false}
"""


def features(**given: Value) -> list[Value]:
    values: list[Value] = [False if feature.kind == "bool" else 0 for feature in CATALOGUE]
    for name, value in given.items():
        values[PLACES[name]] = value
    return values


@pytest.mark.parametrize(
    ("was", "becomes", "line", "says"),
    [
        ("pair_count_30d ==", "pair_kount ==", 5, "undeclared reference to 'pair_kount'"),
        (">= 500000", ">= '5'", 5, "no matching overload for '_>=_' applied to '(int, string)'"),
        ("&& usd_minor", "&&& usd_minor", 5, "Syntax error"),
        ("when: device_given && !device_known", "when: usd_minor + 1", 14, "must be true or false"),
        (
            "when: device_given && !device_known",
            "when: 1 / legs > 5",
            14,
            "example 1 cannot be computed; a feature that it does not give is 0",
        ),
        ("A new device", '"A new {device"', 14, "a brace that stands alone"),
        ("A new device", '"A new device}"', 14, "a brace that stands alone"),
        ("points: 60", "action: freeze", 19, "it may be block, review, score."),
        ("points: 60", "on_error: pass", 19, "it may be block, ignore, review."),
        ("when: device_given && !device_known", "when: '[5][legs + 1] > 5'", 14, "example 1 cannot be computed"),
        ("when: device_given && !device_known", "when: '{7: 1}[legs] > 5'", 14, "example 1 cannot be computed"),
        ("&& usd_minor", "&& [1].exists(legs, legs == 1) && usd_minor", 5, "no macro, method or pattern"),
        ("&& usd_minor", "&& size([1] . map(x, x)) == 1 && usd_minor", 5, "no macro, method or pattern"),
        ("&& usd_minor", "&& matches('a', '(a+)+') && usd_minor", 5, "no macro, method or pattern"),
        ("&& usd_minor", "&& type(legs) == int && usd_minor", 5, "`int` is no feature"),
        ("&& usd_minor", "&& 1e400 > 0.5 && usd_minor", 5, "its condition is refused: Failed to parse"),
        ("points: 40", "points: 4000", 10, "Expected `int` <= 1000"),
        ("points: 60", "points: many", 19, "Expected `int`, got `str`"),
        ("points: 60", "points: 0", 14, "scores 0 points"),
        ("points: 60", "action: review\n  on_error: ignore", 14, "must not pass unseen"),
        ("title: From a new device", "titel: From", 14, "unknown field `titel`"),
        ("usd_minor: 499999}, hits: false", "usd_minor: 499999}, hits: true", 5, "one that does not"),
        ("usd_minor: 500000}, hits: true", "usd_minor: 400000}, hits: true", 5, "does not turn out so"),
        ("device_given: true}", "device_taken: true}", 14, "`device_taken`, which is no feature"),
        ("device_given: true}", "device_given: 1}", 14, "`device_given` is true or false"),
        ("{usd_minor: 500000}", "{usd_minor: true}", 5, "`usd_minor` is a number"),
        ("{usd_minor}", "{cents}", 5, "`cents`, which is no feature"),
        ("id: second", "id: first", 14, "two rules `first`"),
        ("review_from: 100", "review_from: 201", 1, "nothing would ever be reviewed"),
        ("name: tried", "name: &a tried", 1, "Anchors, aliases and tags"),
        ("name: tried", "name: !!python/name:os.system tried", 1, "Anchors, aliases and tags"),
        ("- id: second", "- [", 16, "no YAML"),
        ("name: tried", "name: tried\nmore: 1", 1, "unknown field `more`"),
        (
            "block_from: 200",
            "block_from: 200\nreview_from: 300",
            4,
            "`review_from` stands twice here; the first time in line 2",
        ),
        ("points: 60", "points: 60\n  message: Else", 20, "`message` stands twice here; the first time in line 17"),
        ("{device_given: true}", "{device_given: true, device_given: false}", 21, "`device_given` stands twice"),
        ("points: 60", "<<: {points: 60}", 19, "`<<` is none"),
        ("points: 60", "? [points]\n  : 60", 19, "A key is a word"),
        ("name: tried", "name: " + "[" * 21 + "]" * 21, 1, "more than 20 levels"),
    ],
)
def test_a_wrong_rule_set_is_refused_with_line_and_reason(was: str, becomes: str, line: int, says: str) -> None:
    assert was in TEXT
    with pytest.raises(Unprocessable) as refused:
        read_ruleset(TEXT.replace(was, becomes, 1))
    assert refused.value.code == "ruleset_invalid"
    assert says in refused.value.detail
    assert refused.value.facts["line"] == line


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "rules: 3", "a: b: c", "\x00", "'", "- " * 2_000, "{" * 900, "- " * 100_000, "[" * 200_000]
)
def test_what_is_no_rule_set_at_all_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable, match="Line"):
        read_ruleset(text)


def test_a_rule_set_is_bounded() -> None:
    with pytest.raises(Unprocessable, match="bytes"):
        read_ruleset(TEXT + "#" * BYTES_MAX)


def test_a_comment_in_a_condition_comments_nothing_else_out() -> None:
    commented = TEXT.replace("when: device_given && !device_known", 'when: "device_given // && !device_known"')
    assert Ruleset(2, read_ruleset(commented)).judge([features(device_given=True)]).hits == ("second",)


def test_points_of_all_hits_decide_and_one_receiver_is_enough() -> None:
    rules = Ruleset(2, read_ruleset(TEXT))
    assert rules.judge([features()]) is NOTHING_HIT
    assert rules.judge([features(usd_minor=500_000)]).verdict == "approve"
    both = rules.judge([features(usd_minor=500_000, pair_count_30d=1), features(usd_minor=500_000, device_given=True)])
    assert (both.verdict, both.points, both.hits) == ("review", 100, ("first", "second"))


def test_muted_hits_are_named_and_do_not_count() -> None:
    rules = Ruleset(2, read_ruleset(TEXT.replace("points: 60", "points: 60\n  overridable: false")))
    asked = [features(usd_minor=500_000, device_given=True)]
    assert rules.bits_of(["first", "second", "unknown"]) == rules.overridable == 1
    outcome = rules.judge(asked, muted=rules.overridable)
    assert (outcome.verdict, outcome.points, outcome.hits, outcome.muted) == ("approve", 60, ("second",), ("first",))


@pytest.mark.parametrize(("on_error", "verdict"), [("review", "review"), ("block", "block"), ("ignore", "approve")])
def test_a_condition_that_fails_does_what_it_says(on_error: str, verdict: str) -> None:
    document = read_ruleset(TEXT)
    rule = msgspec.structs.replace(document.rules[0], when="1 / legs > 5", on_error=on_error)
    rules = Ruleset(2, msgspec.structs.replace(document, rules=(rule, document.rules[1])))
    outcome = rules.judge([features(device_given=True)])
    assert (outcome.verdict, outcome.errors, outcome.hits) == (verdict, ("first",), ("second",))


def test_the_shipped_rules_pass_their_own_gate() -> None:
    document = read_ruleset(shipped_rules())
    assert 12 <= len(document.rules) <= 20
    everything = Ruleset(2, document)
    for rule in document.rules:
        for example in rule.examples:
            assert (rule.id in everything.judge([values_given(example)]).hits) == example.hits, rule.id


def _with(document: RulesetDocument, *rules: Rule) -> RulesetDocument:
    return msgspec.structs.replace(document, rules=rules)


def test_whatever_lets_more_pass_or_blocks_by_itself_takes_two_people() -> None:
    live = read_ruleset(TEXT)
    first, second = live.rules
    other = msgspec.structs.replace(first, id="third")
    assert risk_of(live, None) == "high"
    assert risk_of(live, live) == "low"
    assert risk_of(_with(live, first, second, other), live) == "low"
    assert risk_of(_with(live, msgspec.structs.replace(first, title="Else"), second), live) == "low"
    for change in (
        {"points": 39},
        {"when": "usd_minor > 5000000"},
        {"on_error": "ignore"},
        {"overridable": False},
        {"action": "review"},
        {"typology": "mule"},
    ):
        assert risk_of(_with(live, msgspec.structs.replace(first, **change), second), live) == "high", change
    assert risk_of(_with(live, first), live) == "high"
    assert risk_of(_with(live, first, second, msgspec.structs.replace(other, action="block")), live) == "high"
    assert risk_of(_with(live, first, second, msgspec.structs.replace(other, on_error="block")), live) == "high"
    heavy = msgspec.structs.replace(other, points=live.block_from - live.review_from)
    fourth = msgspec.structs.replace(other, id="fourth", points=1)
    assert risk_of(_with(live, first, second, heavy), live) == "low"
    assert risk_of(_with(live, first, second, heavy, fourth), live) == "high"
    assert risk_of(msgspec.structs.replace(live, review_from=101), live) == "high"


@pytest.mark.parametrize("status", get_args(RulesetStatus))
@pytest.mark.parametrize("action", get_args(RulesetAction))
def test_every_move_is_in_the_table_or_refused_with_what_is_possible(
    status: RulesetStatus, action: RulesetAction
) -> None:
    legal = {known_action: target for (known, known_action), target in TRANSITIONS.items() if known == status}
    if action in legal:
        assert move(status, action) == legal[action]
        return
    with pytest.raises(Conflict) as refused:
        move(status, action)
    assert refused.value.facts["legal_actions"] == sorted(legal)
