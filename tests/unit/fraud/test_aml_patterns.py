"""What each pattern is, at its boundaries, and what merely looks like it."""

from dataclasses import replace

import pytest

from services.fraud.domain.aml_edges import EDGES_MAX, HOUR_US, Due, Ring
from tests.unit.fraud.payments import BUSINESS, MONDAY_US, RETAIL, Story, moment_us

MICROSECOND = 1 / HOUR_US


# Structuring


def test_three_payments_just_below_the_threshold_in_a_day_are_structuring() -> None:
    story = Story()
    sent = [story.sends(9_000, at=hour) for hour in (0, 5, 23)]
    story.sends(200, at=24)

    finding = story.finds()["structuring"]

    assert finding.edges == sent
    assert finding.score == 50


def test_two_payments_are_not_structuring() -> None:
    story = Story()
    story.sends(9_000, at=0)
    story.sends(9_000, at=1)
    assert story.finds() == {}


@pytest.mark.parametrize(
    ("dollars", "is_near"),
    [(7_999.99, False), (8_000.00, True), (9_999.99, True), (10_000.00, False)],
    ids=["below_80_per_cent", "at_80_per_cent", "just_below", "at_the_threshold"],
)
def test_near_is_from_80_per_cent_up_to_but_not_the_threshold(dollars: float, *, is_near: bool) -> None:
    story = Story()
    for hour in (0, 1, 2):
        story.sends(dollars, at=hour)
    assert ("structuring" in story.finds()) == is_near


@pytest.mark.parametrize(
    ("last_hour", "is_inside"),
    [(24 - MICROSECOND, True), (24.0, False), (24 + MICROSECOND, False)],
    ids=["one_us_less", "a_day", "one_us_more"],
)
def test_the_window_leaves_out_what_was_posted_exactly_its_length_before(last_hour: float, *, is_inside: bool) -> None:
    only_short = replace(RETAIL, structuring_long_count=1000)
    story = Story()
    story.sends(9_000, at=0)
    story.sends(9_000, at=1)
    story.sends(9_000, at=last_hour)
    assert ("structuring" in story.finds(only_short)) == is_inside


def test_what_is_too_slow_for_a_day_is_found_in_a_week() -> None:
    story = Story()
    sent = [story.sends(9_000, at=hour) for hour in (0, 60, 167)]
    assert story.finds()["structuring"].edges == sent


def test_the_sum_must_be_above_the_threshold_not_at_it() -> None:
    halves = replace(RETAIL, structuring_near_per_cent=50, structuring_short_count=2, structuring_long_count=1000)
    at, above = Story(), Story()
    at.sends(5_000, at=0)
    at.sends(5_000, at=1)
    above.sends(5_000, at=0)
    above.sends(5_000.01, at=1)
    assert at.finds(halves) == {}
    assert "structuring" in above.finds(halves)


def test_structuring_is_found_across_receivers() -> None:
    story = Story()
    sent = [story.sends(9_500, at=hour, to=f"receiver-{hour}") for hour in (0, 1, 2)]
    assert story.finds()["structuring"].edges == sent


def test_payroll_is_not_structuring_but_the_same_man_paid_three_times_is() -> None:
    payroll = Story()
    for number in range(40):
        payroll.sends(8_500, at=number / 60, to=f"employee-{number}")
    assert payroll.finds(BUSINESS) == {}

    sent = [payroll.sends(9_000, at=2 + hour, to="contractor") for hour in (0, 1, 2)]
    assert payroll.finds(BUSINESS)["structuring"].edges == sent


def test_rent_once_a_month_is_not_structuring() -> None:
    story = Story()
    for month in range(6):
        story.sends(9_000, at=month * 30 * 24, to="landlord")
    assert story.finds() == {}


# Fan-in


def test_ten_new_senders_in_a_day_are_a_fan_in() -> None:
    story = Story()
    got = [story.gets(300, at=hour, by=f"sender-{hour}") for hour in range(10)]

    finding = story.finds()["fan_in"]

    assert finding.edges == got
    assert finding.score == 50


@pytest.mark.parametrize(("senders", "is_found"), [(9, False), (10, True), (11, True)], ids=["nine", "ten", "eleven"])
def test_so_many_senders_make_a_fan_in(senders: int, *, is_found: bool) -> None:
    story = Story()
    for number in range(senders):
        story.gets(300, at=number, by=f"sender-{number}")
    assert ("fan_in" in story.finds()) == is_found


def test_one_sender_ten_times_is_one_sender() -> None:
    story = Story()
    for hour in range(20):
        story.gets(300, at=hour, by=f"sender-{hour % 9}")
    assert story.finds() == {}


@pytest.mark.parametrize(("new", "is_found"), [(5, False), (6, True), (7, True)], ids=["five", "six", "seven"])
def test_six_of_ten_must_be_new(new: int, *, is_found: bool) -> None:
    story = Story()
    for number in range(10):
        story.gets(300, at=number, by=f"sender-{number}", known_since=None if number < new else -1_000)
    assert ("fan_in" in story.finds()) == is_found


def test_who_paid_him_earlier_in_the_week_is_not_new() -> None:
    story = Story()
    for number in range(10):
        story.gets(10, at=number, by=f"sender-{number}")
    for number in range(10):
        story.gets(300, at=48 + number, by=f"sender-{number}")
    assert story.finds() == {}


@pytest.mark.parametrize(
    ("cents", "is_found"), [(199_999, False), (200_000, True), (200_001, True)], ids=["below", "at", "above"]
)
def test_a_fan_in_of_little_money_is_a_collection_among_friends(cents: int, *, is_found: bool) -> None:
    story = Story()
    for number in range(9):
        story.gets(20, at=number, by=f"sender-{number}")
    story.gets((cents - 9 * 2_000) / 100, at=9, by="sender-9")
    assert ("fan_in" in story.finds()) == is_found


@pytest.mark.parametrize(
    ("last_hour", "is_inside"), [(24 - MICROSECOND, True), (24.0, False)], ids=["one_us_less", "a_day"]
)
def test_the_first_sender_of_a_fan_in_leaves_after_a_day(last_hour: float, *, is_inside: bool) -> None:
    story = Story()
    for number in range(9):
        story.gets(300, at=number, by=f"sender-{number}")
    story.gets(300, at=last_hour, by="sender-9")
    assert ("fan_in" in story.finds()) == is_inside


def test_a_landlord_whose_tenants_paid_last_month_is_left_alone() -> None:
    story = Story()
    for number in range(30):
        story.gets(1_500, at=number / 10, by=f"tenant-{number}", known_since=-720)
    assert story.finds() == {}


def test_a_marketplace_paid_by_hundreds_of_strangers_is_left_alone() -> None:
    story = Story()
    for number in range(400):
        story.gets(250, at=number / 20, by=f"buyer-{number}")
        if number % 4 == 3:
            story.sends(940, at=number / 20 + 0.01, to=f"seller-{number % 40}")
    assert story.finds(BUSINESS) == {}


def test_deposits_have_no_sender_and_make_no_fan_in() -> None:
    story = Story()
    for hour in range(9):
        story.gets(300, at=hour, by=f"sender-{hour}")
        story.gets(300, at=hour, by=None)
    assert story.finds() == {}


# Pass-through


def test_money_that_leaves_the_day_it_came_passes_through() -> None:
    story = Story()
    edges = [story.gets(6_000, at=0), story.gets(4_000, at=1, by=None)]
    edges += [story.sends(5_000, at=3), story.sends(4_500, at=5, to=None)]

    finding = story.finds()["pass_through"]

    assert finding.edges == edges
    assert finding.score == 60


@pytest.mark.parametrize(
    ("out", "is_found"),
    [(8_999.99, False), (9_000.00, True), (9_000.01, True), (11_000.00, True), (11_000.01, False)],
    ids=["below_90", "at_90", "above_90", "at_110", "above_110"],
)
def test_from_90_to_110_per_cent_going_out_pass_through(out: float, *, is_found: bool) -> None:
    story = Story()
    story.gets(10_000, at=0)
    story.sends(out, at=1)
    assert ("pass_through" in story.finds()) == is_found


@pytest.mark.parametrize(
    ("dollars", "is_found"), [(4_999.99, False), (5_000.00, True), (5_000.01, True)], ids=["below", "at", "above"]
)
def test_less_than_the_floor_is_nobody_s_business(dollars: float, *, is_found: bool) -> None:
    story = Story()
    story.gets(dollars, at=0)
    story.sends(dollars, at=1)
    assert ("pass_through" in story.finds()) == is_found


@pytest.mark.parametrize(("hour", "is_found"), [(24 - MICROSECOND, True), (24.0, False)], ids=["one_us_less", "a_day"])
def test_what_stays_a_day_does_not_pass_through(hour: float, *, is_found: bool) -> None:
    story = Story()
    story.gets(10_000, at=0)
    story.sends(10_000, at=hour)
    assert ("pass_through" in story.finds()) == is_found


def test_what_he_sent_before_anything_came_does_not_count() -> None:
    story = Story()
    story.sends(10_000, at=0)
    story.gets(10_000, at=1)
    story.sends(20, at=2)
    assert story.finds() == {}


def test_a_salary_and_what_is_spent_of_it_is_no_pass_through() -> None:
    story = Story()
    story.gets(6_000, at=0, by="employer", known_since=-5_000)
    story.sends(1_800, at=2, to="landlord")
    story.sends(400, at=5, to="school")
    story.sends(900, at=20, to="savings plan")
    assert story.finds() == {}


def test_who_has_savings_buys_a_car_on_payday() -> None:
    story = Story()
    story.gets(6_000, at=0, by="employer")
    story.sends(24_000, at=3, to="car dealer")
    assert story.finds() == {}


def test_a_business_that_is_paid_and_pays_its_people_is_no_pass_through() -> None:
    story = Story()
    story.gets(100_000, at=0, by="client")
    for number in range(20):
        story.sends(4_800, at=3 + number / 60, to=f"employee-{number}")
    assert story.finds(BUSINESS) == {}


def test_a_business_between_few_parties_is_found() -> None:
    story = Story()
    story.gets(100_000, at=0, by="shell company")
    story.sends(96_000, at=3, to="another one")
    assert "pass_through" in story.finds(BUSINESS)


@pytest.mark.parametrize(("parties", "is_found"), [(4, True), (5, True), (6, False)], ids=["four", "five", "six"])
def test_up_to_five_parties_are_few(parties: int, *, is_found: bool) -> None:
    story = Story()
    story.gets(60_000, at=0)
    for number in range(parties):
        story.sends(60_000 / parties, at=1 + number, to=f"receiver-{number}")
    assert ("pass_through" in story.finds(BUSINESS)) == is_found


# What is due


def test_only_windows_that_end_with_what_is_due_are_judged() -> None:
    story = Story()
    for hour in (0, 1, 2):
        story.sends(9_000, at=hour)
    story.sends(10, at=3)

    assert story.finds(due=Due(moment_us(3), 1 << 62)) == {}, "what ended before was judged before"
    assert story.finds(due=Due(moment_us(2), 1)) == {}, "what was heard of later is not settled yet"
    assert "structuring" in story.finds(due=Due(moment_us(2), 2))


def test_nothing_posted_later_counts_for_what_is_judged() -> None:
    story = Story()
    story.gets(10_000, at=0)
    story.sends(9_500, at=1)
    story.gets(50_000, at=1.5, by="later")
    story.sends(1, at=2)
    assert len(story.finds()["pass_through"].edges) == 2


def test_the_score_stops_at_a_hundred() -> None:
    story = Story()
    for number in range(30):
        story.sends(9_000, at=number / 10)
    assert story.finds()["structuring"].score == 100


# The ring


def test_a_ring_keeps_the_newest_payments_in_the_order_of_their_posting() -> None:
    story, ring = Story(), Ring()
    edges = [story.sends(1, at=hour) for hour in range(EDGES_MAX + 2)]
    for edge in [*edges[1:], edges[0]]:
        ring.add(edge, is_out=True)
    assert ring.outs == edges[2:]
    assert edges[0].posted_us == MONDAY_US
