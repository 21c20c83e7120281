"""What is worth looking through: whoever matches a pattern always is, and most others never are."""

import random
from dataclasses import replace
from itertools import groupby

import pytest

from services.fraud.domain.aml_bounds import COVERED_US, Bounds, Tally, bounds_of
from services.fraud.domain.aml_edges import HOUR_US, Due, Edge
from services.fraud.domain.aml_parameters import AmlParameters
from tests.unit.fraud.payments import BUSINESS, EVERYTHING, HIM, RETAIL, Story
from tests.unit.fraud.test_aml_brute_force import PER_RECEIVER, SMALL, a_story

LONG_AGO_US = 0


def empty() -> Tally:
    return Tally(LONG_AGO_US, 0, 0, 0, is_short=False)


def take(tally: Tally, edge: Edge) -> None:
    tally.add(edge, is_out=edge.payer_id == HIM)


def is_looked_through(tally: Tally, edge: Edge, bounds: Bounds) -> bool:
    return tally.reaches(bounds) or (edge.payer_id == HIM and bounds.is_near(edge))


@pytest.mark.parametrize(
    "parameters",
    [SMALL, replace(RETAIL, pass_through_floor_minor=1_000_00), PER_RECEIVER],
    ids=["small", "retail", "per_receiver"],
)
def test_whoever_matches_a_pattern_is_looked_through(parameters: AmlParameters) -> None:
    bounds, found = bounds_of([parameters, BUSINESS]), 0
    for number in range(300):
        story, tally = a_story(random.Random(number)), empty()
        in_order = sorted([*story.ring.outs, *story.ring.ins], key=lambda one: one.key)
        for posted_us, together in groupby(in_order, key=lambda one: one.posted_us):
            edges = list(together)
            for edge in edges:
                take(tally, edge)
            if story.finds(parameters, due=Due(posted_us, max(edge.edge_no for edge in edges))):
                found += 1
                assert any(is_looked_through(tally, edge, bounds) for edge in edges)
    assert found > 200


def test_what_was_counted_anew_still_bounds_every_window() -> None:
    chance, story, tally, bounds = random.Random(5), Story(), empty(), bounds_of([SMALL])
    found = anew = 0
    at = 0.0
    for number in range(2_000):
        at += chance.choice([0.1, 0.5, 2.0, 30.0])
        dollars = chance.choice([50, 1_500, 4_000, 5_000])
        late = chance.choice([0.0, 0.0, 0.0, 20.0])
        if chance.random() < 0.5:
            edge = story.sends(dollars, at=at - late, to=f"other-{number % 2}")
        else:
            edge = story.gets(dollars, at=at - late, by=f"other-{number % 4}")
        take(tally, edge)
        finds = story.finds(SMALL, due=Due(edge.posted_us, 1 << 62))
        found += bool(finds)
        assert not finds or is_looked_through(tally, edge, bounds)
        before_us = tally.from_us
        tally.count_anew(story.ring)
        anew += tally.from_us != before_us
    assert found > 50
    assert anew > 30


def test_whoever_pays_little_for_years_is_not_looked_through_for_its_sum() -> None:
    story, tally, bounds = Story(), empty(), bounds_of([RETAIL, BUSINESS])
    looked_through = 0
    for day in range(700):
        for edge in (story.gets(100, at=day * 24), story.sends(95, at=day * 24 + 1)):
            take(tally, edge)
            if is_looked_through(tally, edge, bounds):
                looked_through += 1
                tally.count_anew(story.ring)
    assert looked_through < 100, "of 1,400"


def test_one_that_comes_later_than_the_tally_covers_leaves_it_without_meaning() -> None:
    tally = Tally(COVERED_US, 0, 0, 0, is_short=False)
    story, bounds = Story(), bounds_of([RETAIL])
    edge = story.gets(1, at=0)
    tally.from_us = edge.posted_us - COVERED_US
    take(tally, edge)
    assert not tally.reaches(bounds)
    take(tally, replace_posted(edge, edge.posted_us - 24 * HOUR_US))
    assert not tally.reaches(bounds)
    take(tally, replace_posted(edge, edge.posted_us - 24 * HOUR_US - 1))
    assert tally.reaches(bounds)
    tally.count_anew(story.ring)
    assert not tally.reaches(bounds)


def replace_posted(edge: Edge, posted_us: int) -> Edge:
    return Edge(posted_us, 0, 1, 0, "late", edge.payer_id, edge.payee_id, edge.usd_minor, posted_us, 1)


def test_bounds_are_the_loosest_of_all_profiles_and_none_where_nothing_is_looked_for() -> None:
    assert bounds_of([RETAIL, BUSINESS]) == Bounds(8_000_00, 10_000_00, 10, 2_000_00, 5_000_00, 4_500_00)
    nothing = replace(RETAIL, structuring_threshold_minor=None, fan_in_senders=None, pass_through_floor_minor=None)
    tally, story = empty(), Story()
    for hour in range(100):
        take(tally, story.gets(9_000, at=hour, by=f"one-{hour}"))
        take(tally, story.sends(9_000, at=hour))
    assert story.finds(nothing, due=EVERYTHING) == {}
    assert not any(is_looked_through(tally, edge, bounds_of([nothing])) for edge in story.ring.outs)
