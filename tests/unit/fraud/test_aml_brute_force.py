"""Each detector against its definition, read word for word: every window, every payment, no cleverness."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from services.fraud.domain.aml_edges import HOUR_US, Edge
from services.fraud.domain.aml_parameters import AmlParameters
from tests.unit.fraud.payments import BUSINESS, RETAIL, Story

SMALL = replace(
    RETAIL,
    structuring_short_count=2,
    structuring_long_count=4,
    fan_in_senders=3,
    fan_in_floor_minor=400_000,
    pass_through_parties_max=2,
)
PER_RECEIVER = replace(SMALL, structuring_across_receivers=False, fan_in_new_per_cent=100)


def windows(edges: Sequence[Edge], hours: int) -> Iterator[tuple[Edge, list[Edge]]]:
    """Yield each payment with those in (t − W, t] up to itself."""
    for last in edges:
        yield last, [one for one in edges if last.posted_us - hours * HOUR_US < one.posted_us and one.key <= last.key]


def structuring(story: Story, by: AmlParameters) -> set[Edge]:
    found: set[Edge] = set()
    threshold = by.structuring_threshold_minor
    assert threshold is not None
    near = [one for one in story.ring.outs if threshold * 80 <= one.usd_minor * 100 and one.usd_minor < threshold]
    across = by.structuring_across_receivers
    for receiver in {one.payee_id for one in near}:
        his = [one for one in near if across or one.payee_id == receiver]
        for hours, count in (
            (by.structuring_short_hours, by.structuring_short_count),
            (by.structuring_long_hours, by.structuring_long_count),
        ):
            for _, inside in windows(his, hours):
                if len(inside) >= count and sum(one.usd_minor for one in inside) > threshold:
                    found.update(inside)
    return found


def fan_in(story: Story, by: AmlParameters) -> set[Edge]:
    found: set[Edge] = set()
    sent = [one for one in story.ring.ins if one.payer_id is not None]
    for last, inside in windows(sent, by.fan_in_hours):
        senders = {one.payer_id for one in inside}
        begin_us = last.posted_us - by.fan_in_hours * HOUR_US
        first_us = {
            sender: min(min(one.posted_us, one.known_since_us) for one in sent if one.payer_id == sender)
            for sender in senders
        }
        new = [sender for sender in senders if first_us[sender] > begin_us]
        assert by.fan_in_senders is not None
        if (
            len(senders) >= by.fan_in_senders
            and len(new) * 100 >= by.fan_in_new_per_cent * len(senders)
            and sum(one.usd_minor for one in inside) >= by.fan_in_floor_minor
        ):
            found.update(inside)
    return found


def pass_through(story: Story, by: AmlParameters) -> set[Edge]:
    found: set[Edge] = set()
    everything = sorted([*story.ring.ins, *story.ring.outs], key=lambda one: one.key)
    for last, inside in windows(everything, by.pass_through_hours):
        came = [one for one in inside if one in story.ring.ins]
        if last not in story.ring.outs or not came:
            continue
        went = [one for one in inside if one in story.ring.outs and one.key > came[0].key]
        in_minor, out_minor = sum(one.usd_minor for one in came), sum(one.usd_minor for one in went)
        most = by.pass_through_parties_max
        assert by.pass_through_floor_minor is not None
        if (
            in_minor >= by.pass_through_floor_minor
            and 90 * in_minor <= 100 * out_minor <= 110 * in_minor
            and (most is None or len({one.payer_id for one in came}) <= most >= len({one.payee_id for one in went}))
        ):
            found.update([*came, *went])
    return found


def a_story(chance: random.Random) -> Story:
    story = Story()
    at = 0.0
    contacts: dict[str, float] = {}
    for _ in range(chance.randint(1, 40)):
        at += chance.choice([0.0, 0.5, 2.0, 8.0, 24.0])
        other = chance.choice(["ann", "ben", "cat", "dan", "eve", None])
        dollars = chance.choice([50, 1_000, 4_000, 5_000, 7_999.99, 8_000, 9_000, 9_999.99, 10_000])
        if chance.random() < 0.5:
            story.sends(dollars, at=at, to=other)
        elif other is None:
            story.gets(dollars, at=at, by=None)
        else:
            story.gets(dollars, at=at, by=other, known_since=contacts.setdefault(other, chance.choice([at, -100.0])))
    return story


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "parameters",
    [replace(SMALL, version=1), replace(RETAIL, pass_through_floor_minor=100_000), PER_RECEIVER],
    ids=["small", "retail", "per_receiver"],
)
def test_detectors_find_what_their_definitions_say_and_nothing_else(parameters: AmlParameters, seed: int) -> None:
    for number in range(30):
        story = a_story(random.Random(seed * 1000 + number))
        found = {typology: set(finding.edges) for typology, finding in story.finds(parameters).items()}
        assert found.get("structuring", set()) == structuring(story, parameters)
        assert found.get("fan_in", set()) == fan_in(story, parameters)
        assert found.get("pass_through", set()) == pass_through(story, parameters)


def test_the_stories_have_something_to_be_found() -> None:
    found = [a_story(random.Random(number)).finds(SMALL).keys() for number in range(200)]
    for typology in ("structuring", "fan_in", "pass_through"):
        assert 10 < sum(typology in one for one in found) < 190, typology
    assert BUSINESS.fan_in_senders is None
