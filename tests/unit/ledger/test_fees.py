"""What is withheld: tiers, rates, bounds and roundings; the parts of a hold cost what the whole costs."""

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from libs.common.contracts.gateway import FeeRule, FeeTier
from libs.common.ids import system_account_id
from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.domain.commands import PublishFeeSchedule
from services.ledger.domain.fees import NO_FEES, Fee, FeeSchedule, beyond, given_back, merge, part_of
from services.ledger.domain.run import CommandAnswer
from tests.support.ledger_builders import (
    account,
    batch,
    capture,
    deposit,
    fees,
    held,
    id_of,
    leg,
    resolved,
    screened,
    withdrawal,
)
from tests.unit.ledger.memory_ledger import Books, house

FEES, TREASURY = (system_account_id("USD", f"SYS-{name}-0001") for name in ("FEES", "TREASURY"))
HOUR = 3_600
RULE = FeeRule(
    rule_id="fee",
    asset="USD",
    kind="transfer",
    credit="fees",
    tiers=(FeeTier(0, 0, 10_000),),
    minimum_minor=0,
    maximum_minor=MAX_AMOUNT_MINOR,
    rounding="down",
)
TAX = replace(RULE, rule_id="tax", credit="treasury")


def one_tier(flat_minor: int, rate_per_million: int, **others: Any) -> FeeRule:
    return replace(RULE, tiers=(FeeTier(0, flat_minor, rate_per_million),), **others)


def schedule(*rules: FeeRule, exempt: frozenset[str] = frozenset()) -> FeeSchedule:
    return FeeSchedule(1, rules, exempt)


def published(*rules: FeeRule, as_: str = "1") -> PublishFeeSchedule:
    return replace(fees(as_=as_), rules=rules)


def books(alice_minor: int = 10_000) -> Books:
    return Books(account("alice", alice_minor), account("bob"), account("carol"), *house("USD"))


def test_a_tier_begins_at_its_amount_and_not_before() -> None:
    tiered = replace(RULE, tiers=(FeeTier(0, 1, 0), FeeTier(100, 5, 0), FeeTier(1_000, 7, 0)))
    assert [part_of(tiered, amount) for amount in (1, 99, 100, 101, 999, 1_000, MAX_AMOUNT_MINOR)] == [
        1,
        1,
        5,
        5,
        5,
        7,
        7,
    ]


def test_a_tiers_flat_part_and_rate_are_of_the_whole_amount() -> None:
    tiered = replace(RULE, tiers=(FeeTier(0, 0, 20_000), FeeTier(1_000, 30, 10_000)))
    assert [part_of(tiered, amount) for amount in (999, 1_000, 2_000)] == [19, 40, 50]


@pytest.mark.parametrize(
    ("rounding", "parts"),
    [("down", [0, 0, 0, 1, 1]), ("up", [1, 1, 1, 1, 2]), ("half_even", [0, 0, 1, 1, 2])],
)
def test_what_is_left_over_is_rounded_as_the_rule_says(rounding: str, parts: list[int]) -> None:
    rule = replace(RULE, rounding=rounding)
    assert [part_of(rule, amount) for amount in (1, 50, 51, 100, 150)] == parts


def test_minimum_and_maximum_bound_flat_part_and_rate_together() -> None:
    bounded = one_tier(5, 10_000, minimum_minor=10, maximum_minor=20)
    assert [part_of(bounded, amount) for amount in (1, 500, 501, 600, 1_500, 9_999)] == [10, 10, 10, 11, 20, 20]


def test_the_largest_amount_is_divided_exactly() -> None:
    assert part_of(one_tier(0, 1_000_000), MAX_AMOUNT_MINOR) == MAX_AMOUNT_MINOR
    assert part_of(one_tier(0, 1), MAX_AMOUNT_MINOR) == 9_007_199_254


def test_every_rule_that_fits_takes_its_part_in_their_order() -> None:
    both = schedule(one_tier(3, 0), replace(TAX, tiers=(FeeTier(0, 0, 100_000),)))
    assert both.fees_of("transfer", [leg("alice", "bob", 100)]) == (Fee(0, FEES, 3), Fee(0, TREASURY, 10))


def test_all_rules_together_never_take_more_than_the_leg_moves() -> None:
    greedy = schedule(one_tier(60, 0), one_tier(60, 0, rule_id="again"), replace(TAX, tiers=(FeeTier(0, 60, 0),)))
    assert greedy.fees_of("transfer", [leg("alice", "bob", 100)]) == (Fee(0, FEES, 60), Fee(0, FEES, 40))
    assert greedy.fees_of("transfer", [leg("alice", "bob", 7)]) == (Fee(0, FEES, 7),)


def test_a_rule_is_for_its_kind_and_asset_alone() -> None:
    legs = [leg("alice", "bob", 100, asset="EUR"), leg("alice", "bob", 100)]
    assert schedule(RULE).fees_of("transfer", legs) == (Fee(1, FEES, 1),)
    assert schedule(RULE).fees_of("deposit", legs) == ()
    assert NO_FEES.fees_of("transfer", legs) == ()


@pytest.mark.parametrize("exempt", ["alice", "bob"])
def test_legs_from_or_to_an_exempt_account_pay_nothing_and_the_others_do(exempt: str) -> None:
    legs = [leg("alice", "bob", 100), leg("carol", "dave", 100)]
    assert schedule(RULE, exempt=frozenset({id_of(exempt)})).fees_of("transfer", legs) == (Fee(1, FEES, 1),)


def test_the_payee_gets_the_amount_less_the_fees_in_the_same_posting() -> None:
    ledger = books()
    ledger.write(published(RULE, replace(TAX, tiers=(FeeTier(0, 5, 0),))))
    ledger.write(screened("t", leg("alice", "bob", 1_000)))
    assert [ledger.posted(name) for name in ("alice", "bob", FEES, TREASURY)] == [9_000, 985, 10, 5]
    assert ledger.transfer("t").fee_minor == 15


def test_a_fee_of_the_whole_leg_leaves_the_payee_without_an_entry() -> None:
    ledger = books()
    ledger.write(published(one_tier(500, 0)))
    ledger.write(screened("t", leg("alice", "bob", 500)))
    assert (ledger.posted("bob"), ledger.posted(FEES)) == (0, 500)
    assert (id_of("t"), id_of("bob")) not in ledger.ledger.entry_sums


def test_deposits_and_withdrawals_pay_their_own_fees() -> None:
    ledger = books()
    ledger.write(published(one_tier(2, 0, kind="deposit"), one_tier(3, 0, kind="withdrawal", rule_id="out")))
    ledger.write(deposit("d", "bob", 100), withdrawal("w", "alice", 100), screened("t", leg("alice", "bob", 100)))
    assert [ledger.posted(name) for name in ("alice", "bob", FEES)] == [9_800, 198, 5]


def test_fees_move_with_every_member_of_an_atomic_batch_or_not_at_all() -> None:
    ledger = books()
    ledger.write(published(RULE))
    first, too_much = screened("a", leg("alice", "bob", 1_000)), screened("b", leg("alice", "bob", 99_999))
    ledger.write(batch("refused", first, too_much))
    assert ledger.posted(FEES) == 0
    ledger.write(batch("posted", screened("c", leg("alice", "bob", 1_000)), screened("d", leg("alice", "bob", 500))))
    assert (ledger.posted(FEES), ledger.posted("bob")) == (15, 1_485)


def test_what_an_earlier_leg_brings_is_less_its_fee() -> None:
    owner = id_of("owner of alice")
    ledger = Books(account("alice", 100), account("mine", owner=owner), account("bob"), *house("USD"))
    ledger.write(published(RULE))
    ledger.write(screened("t", leg("alice", "mine", 100, owner=owner), leg("mine", "bob", 100)))
    assert ledger.transfer("t").facts == {"needed_minor": 100, "available_minor": 99}


def test_a_transfer_that_cannot_move_all_its_legs_leaves_no_fee_behind() -> None:
    ledger = books(1_000)
    ledger.write(published(RULE))
    ledger.write(screened("t", leg("alice", "bob", 600), leg("alice", "carol", 600)))
    assert (ledger.transfer("t").code, ledger.posted(FEES)) == ("insufficient_funds", 0)


def test_a_fees_account_that_can_take_no_more_refuses_the_transfer() -> None:
    full = [replace(each, posted_minor=MAX_AMOUNT_MINOR - 1) for each in house("USD") if each.account_id == FEES]
    ledger = Books(account("alice", 1_000), account("bob"), *full)
    ledger.write(published(one_tier(2, 0)))
    ledger.write(screened("t", leg("alice", "bob", 10)))
    assert (ledger.transfer("t").code, ledger.posted("alice")) == ("balance_overflow", 1_000)


def test_a_fees_account_that_can_take_no_more_refuses_the_capture_and_the_hold_stays() -> None:
    ledger = books()
    ledger.write(published(one_tier(2, 0)))
    ledger.write(screened("h", leg("alice", "bob", 10), hold_seconds=HOUR))
    ledger.put(replace(ledger.ledger.accounts[FEES], posted_minor=MAX_AMOUNT_MINOR - 1))
    (answer,) = ledger.write(capture("h"))
    assert isinstance(answer, CommandAnswer)
    assert (answer.code, ledger.transfer("h").status) == ("balance_overflow", "held")


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ((RULE, RULE), "fee_rules_out_of_bounds"),
        ((replace(RULE, asset="XAU"),), "asset_unknown"),
        ((replace(RULE, tiers=()),), "fee_tiers_invalid"),
        ((replace(RULE, tiers=(FeeTier(1, 0, 0),)),), "fee_tiers_invalid"),
        ((replace(RULE, tiers=(FeeTier(0, 0, 0), FeeTier(5, 0, 0), FeeTier(5, 1, 0))),), "fee_tiers_invalid"),
        ((replace(RULE, minimum_minor=2, maximum_minor=1),), "fee_out_of_bounds"),
        ((one_tier(-1, 0),), "fee_out_of_bounds"),
        ((one_tier(0, 1_000_001),), "fee_out_of_bounds"),
        ((replace(RULE, tiers=(FeeTier(0, 9, 0), FeeTier(100, 8, 0))),), "fee_falls"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_and_the_old_one_stays(rules: tuple[FeeRule, ...], code: str) -> None:
    ledger = books()
    (answer,) = ledger.write(published(*rules))
    assert isinstance(answer, CommandAnswer)
    assert (answer.status, answer.code) == ("refused", code)
    assert ledger.ledger.schedules.keys() == {0}


def test_a_schedule_sent_twice_is_published_once() -> None:
    ledger = books()
    assert ledger.write(published(RULE)) == ledger.write(published(RULE))
    assert ledger.ledger.schedules.keys() == {0, 1}


def test_a_hold_keeps_the_fees_of_its_day() -> None:
    ledger = books()
    ledger.write(published(one_tier(0, 100_000)))
    ledger.write(screened("h", leg("alice", "bob", 1_000), hold_seconds=HOUR), held("f", leg("alice", "carol", 1_000)))
    ledger.write(published(one_tier(0, 500_000), as_="2"))
    ledger.write(capture("h"), resolved("f", leg("alice", "carol", 1_000)))
    ledger.write(screened("t", leg("alice", "bob", 1_000)))
    assert [ledger.transfer(name).fee_minor for name in ("h", "f", "t")] == [100, 100, 500]
    assert [ledger.settlement(name).fee_schedule for name in ("h", "f", "t")] == [1, 1, 2]


def test_a_hold_of_a_day_without_fees_pays_none_later() -> None:
    ledger = books()
    ledger.write(screened("h", leg("alice", "bob", 1_000), hold_seconds=HOUR))
    ledger.write(published(one_tier(0, 500_000)))
    ledger.write(capture("h"))
    assert ledger.posted(FEES) == 0


def test_the_flat_part_is_taken_once_over_all_captures_of_a_hold() -> None:
    ledger = books()
    ledger.write(published(one_tier(30, 10_000)))
    ledger.write(screened("h", leg("alice", "bob", 1_000), hold_seconds=HOUR))
    for number in range(4):
        ledger.write(capture("h", 250, as_=f"capture {number}"))
    assert (ledger.posted(FEES), ledger.posted("bob")) == (40, 960)


def test_what_a_small_capture_cannot_pay_the_next_one_does() -> None:
    ledger = books()
    ledger.write(published(one_tier(30, 0)))
    ledger.write(screened("h", leg("alice", "bob", 1_000), hold_seconds=HOUR))
    ledger.write(capture("h", 20, as_="small"))
    assert (ledger.posted(FEES), ledger.posted("bob")) == (20, 0)
    ledger.write(capture("h", 100, as_="next"))
    assert (ledger.posted(FEES), ledger.posted("bob")) == (30, 90)


def test_what_was_not_captured_pays_no_fee() -> None:
    ledger = books()
    ledger.write(published(one_tier(0, 100_000)))
    ledger.write(screened("h", leg("alice", "bob", 1_000), leg("alice", "carol", 500), hold_seconds=HOUR))
    ledger.write(capture("h", 100, 0, final=True))
    assert ledger.transfer("h").fee_minor == 10


tiers = st.lists(
    st.tuples(st.integers(1, 500), st.integers(0, 20), st.integers(0, 300_000)),
    max_size=3,
    unique_by=lambda tier: tier[0],
)
rules = st.builds(
    lambda first, later, credit, minimum, rounding: replace(
        RULE,
        credit=credit,
        tiers=tuple(
            FeeTier(start, flat, rate)
            for start, flat, rate in zip(
                (0, *sorted(tier[0] for tier in later)),
                sorted([first[0], *(tier[1] for tier in later)]),
                sorted([first[1], *(tier[2] for tier in later)]),
                strict=True,
            )
        ),
        minimum_minor=minimum,
        rounding=rounding,
    ),
    st.tuples(st.integers(0, 20), st.integers(0, 300_000)),
    tiers,
    st.sampled_from(["fees", "treasury"]),
    st.integers(0, 30),
    st.sampled_from(["down", "up", "half_even"]),
)


@given(st.lists(rules, min_size=1, max_size=3), st.lists(st.integers(100, 400), min_size=1, max_size=8))
def test_captures_cost_together_what_one_capture_of_their_sum_costs(drawn: list[FeeRule], parts: list[int]) -> None:
    together = schedule(*drawn)
    withheld: list[Fee] = []
    before = 0
    for sum_minor in accumulate(parts):
        whole = together.fees_of("transfer", [leg("alice", "bob", sum_minor)])
        due_minor = sum(fee.amount_minor for fee in whole) - sum(fee.amount_minor for fee in withheld)
        charged = beyond(whole, withheld, moved_minor=[sum_minor - before])
        assert sum(fee.amount_minor for fee in charged) <= sum_minor - before
        withheld += charged
        if due_minor > sum_minor - before:
            return  # it moved less than was due
        before = sum_minor
    assert merge(withheld) == merge(together.fees_of("transfer", [leg("alice", "bob", sum(parts))]))


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=12),
    st.lists(st.integers(1, 1_000_000), min_size=2, max_size=2).map(sorted),
)
def test_fees_go_back_in_proportion_and_wholly_with_the_last_part(parts: list[int], cuts: list[int]) -> None:
    moved_minor = sum(parts)
    # Two accounts took anything up to the whole leg.
    first, both = (moved_minor * cut // 1_000_000 for cut in cuts)
    withheld = [fee for fee in (Fee(0, FEES, first), Fee(0, TREASURY, both - first)) if fee.amount_minor]
    back: list[Fee] = []
    for end, part in zip(accumulate(parts), parts, strict=True):
        own = given_back(withheld, moved_minor=[moved_minor], before_minor=[end - part], after_minor=[end])
        assert all(fee.amount_minor < 0 for fee in own)
        given_minor = -sum(fee.amount_minor for fee in own)
        assert given_minor <= part, "the payee would be paid by his own reversal"
        assert abs(given_minor * moved_minor - both * part) < moved_minor, "more than a rounding beside the proportion"
        back += own
    assert not any(merge([*withheld, *back]).values())
