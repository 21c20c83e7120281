"""A stored decision in words: what was said of it, by which rules, and since when what it rested on was known."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from services.fraud.domain.explanation import Explanation, ShownEntry, dollars, explain
from services.fraud.domain.features import CATALOGUE, PLACES, Value
from services.fraud.domain.moments import from_us
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.domain.stored_features import Features

RULES = """\
name: told
review_from: 50
block_from: 90
rules:
- id: many
  title: Many payees
  when: sender_receivers_24h > 5 && usd_minor > 100
  message: "{sender_receivers_24h} payees for {usd_minor}, known device: {device_known}"
  typology: velocity
  points: 60
  examples: [{given: {sender_receivers_24h: 6, usd_minor: 101}, hits: true}, {given: {}, hits: false}]
- id: first
  title: First payment
  when: pair_count_30d == 0
  message: first payment
  typology: scam
  points: 10
  examples: [{given: {}, hits: true}, {given: {pair_count_30d: 1}, hits: false}]
"""
DOCUMENT = read_ruleset(RULES)
ALLOWED = ShownEntry("an entry", "allow", "sender", "", "known", "anna", None)


def values(**given: Value) -> list[Value]:
    listed: list[Value] = [False if feature.kind == "bool" else 0 for feature in CATALOGUE]
    for name, value in given.items():
        listed[PLACES[name]] = value
    return listed


FEATURES = Features(
    kind="transfer",
    amounts_minor={"USD": 123_456},
    rates={"USD": (1, 1)},
    payees=[("bob", 1, 1), ("eve", 1, 1)],
    values=[
        values(usd_minor=123_456, sender_receivers_24h=1_234, device_given=True),
        values(usd_minor=123_456, sender_receivers_24h=1_234, device_given=True, pair_count_30d=1),
    ],
    as_of=[1_000, 3_000, 2_000, 5_000],
    points=70,
    hits=("many", "first"),
)
DENIED = msgspec.structs.replace(FEATURES, denied=True)


def told(
    features: Features = FEATURES,
    verdict: str = "hold",
    code: str = "",
    reasons: Sequence[str] = ("review",),
    entries: Sequence[ShownEntry] = (),
) -> Explanation:
    return explain(features, verdict=verdict, code=code, reasons=reasons, document=DOCUMENT, limits=[], entries=entries)


@pytest.mark.parametrize(
    ("features", "verdict", "code", "reasons", "sentence"),
    [
        (FEATURES, "approve", "", (), "Approved; 2 of 2 rules hit"),
        (FEATURES, "hold", "", ("review",), "Held for a person's review; 2 of 2"),
        (
            FEATURES,
            "hold",
            "",
            ("review", "kyc_pending"),
            "Held for a person's review and the receiver's verification; ",
        ),
        (FEATURES, "block", "daily_amount_limit_exceeded", (), "Blocked: daily_amount_limit_exceeded; "),
        (DENIED, "block", "transfer_not_permitted", (), "Blocked: an entry of a list forbids it; "),
    ],
    ids=["approved", "review", "review-and-kyc", "limit", "list"],
)
def test_the_sentence_says_first_what_became_of_it(
    features: Features, verdict: str, code: str, reasons: Sequence[str], sentence: str
) -> None:
    said = told(features, verdict, code, reasons).sentence
    assert said.startswith(sentence)
    assert said.endswith("70 points (a person decides from 50 on, 90 block).")


def test_where_no_rule_set_was_live_or_nobody_asked_it_none_is_shown() -> None:
    without = explain(FEATURES, verdict="approve", code="", reasons=(), document=None, limits=[], entries=[])
    unasked = told(msgspec.structs.replace(FEATURES, values=[], as_of=[], hits=(), points=0), "approve", reasons=())
    for said in (without, unasked):
        assert said.sentence == "Approved; no rules were asked."
        assert (said.rules, said.review_from, said.block_from) == ([], None, None)
    assert len(without.catalogue) == len(CATALOGUE)
    assert unasked.catalogue == []


def test_a_message_is_written_for_people_with_the_features_it_names() -> None:
    many, first = told().rules
    assert many.message == "1,234 payees for 1,234.56 USD, known device: no"
    assert many.reads == {"sender_receivers_24h": [1_234, 1_234], "usd_minor": [123_456, 123_456]}
    assert (first.message, first.reads) == ("first payment", {"pair_count_30d": [0, 1]})
    assert [dollars(minor) for minor in (0, 5, 100, 1_234_567_89)] == [
        "0.00 USD",
        "0.05 USD",
        "1.00 USD",
        "1,234,567.89 USD",
    ]


def test_a_feature_that_was_not_stored_stays_as_it_is_written() -> None:
    rule = msgspec.structs.replace(DOCUMENT.rules[0], when="usd_minor > 100")
    early = msgspec.structs.replace(FEATURES, values=[row[:1] for row in FEATURES.values], hits=("many",))
    shown = explain(
        early,
        verdict="hold",
        code="",
        reasons=("review",),
        document=msgspec.structs.replace(DOCUMENT, rules=(rule,)),
        limits=[],
        entries=[],
    )
    assert [one.name for one in shown.catalogue] == ["usd_minor"]
    assert shown.rules[0].message == "{sender_receivers_24h} payees for 1,234.56 USD, known device: {device_known}"


def test_a_muted_rule_names_what_muted_it_and_adds_nothing() -> None:
    muted = msgspec.structs.replace(FEATURES, hits=("first",), muted=("many",), points=10)
    snoozed = replace(ALLOWED, entry_id="a snooze", list="snooze", rule_id="many")
    other = replace(snoozed, entry_id="another", rule_id="first")
    many, first = told(muted, entries=[ALLOWED, snoozed, other]).rules
    assert (many.said, many.counted_points, many.muted_by) == ("muted", 0, ["an entry", "a snooze"])
    assert many.message, "staff see what it would have said"
    assert (first.said, first.counted_points, first.muted_by) == ("hit", 10, [])


def test_a_rule_that_could_not_be_computed_is_told_from_one_that_said_nothing() -> None:
    failed = msgspec.structs.replace(FEATURES, hits=(), errors=("many",), points=0)
    said = told(failed)
    assert [(one.said, one.message) for one in said.rules] == [("error", None), ("nothing", None)]
    assert "none of 2 rules hit, 1 could not be computed, 0 points" in said.sentence


def test_a_snapshot_says_since_when_its_memory_was_complete() -> None:
    catalogue = {one.name: one.as_of for one in told().catalogue}
    assert catalogue["sender_receivers_24h"] == catalogue["pair_count_30d"] == from_us(1_000)
    assert catalogue["receiver_count_1h"] == from_us(3_000), "the latest of two receivers"
    assert catalogue["device_count_1h"] == from_us(5_000)
    assert catalogue["address_count_1h"] is None, "no address was given"
    assert catalogue["usd_minor"] is None, "exact"
    assert catalogue["sender_age_seconds"] is None, "an age has no memory"
    assert catalogue["receiver_documents_shared_30d"] is None, "it stands in the row"
