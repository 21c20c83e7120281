"""The narrowest of profile, tier and person holds, and a block says whose limit it was."""

import pytest

from libs.common.errors import Unprocessable
from services.fraud.domain.bounds import CAPS, Bounds, narrow, require_within_caps
from services.fraud.domain.limits import LimitProfile, find_breach
from services.fraud.domain.policy import UNBOUNDED, Policy
from services.fraud.domain.window import Window

RETAIL = LimitProfile("retail", 1, 1_000_000_00, 5_000_000_00, 50, 200, version=3)
NOON_US = 1_800_000_000_000_000


def test_each_limit_is_the_narrowest_of_the_three() -> None:
    tier = Bounds(max_minor=500_00, hour_count=10, version=4)
    personal = Bounds(min_minor=5_00, max_minor=900_00, day_count=20, version=7)

    limits = narrow(RETAIL, tier=tier, personal=personal)

    assert (limits.min_minor, limits.max_minor, limits.day_sum_minor) == (5_00, 500_00, 5_000_000_00)
    assert (limits.hour_count, limits.day_count) == (10, 20)
    assert (limits.version, limits.tier_version, limits.personal_version) == (3, 4, 7)
    assert limits.set_by == {
        "minimum_amount": "personal",
        "maximum_amount": "tier",
        "hourly_count": "tier",
        "daily_count": "personal",
    }


def test_what_is_wider_or_equal_changes_nothing() -> None:
    wider = Bounds(1, 1_000_000_00, 5_000_000_01, 10_000, 200)

    limits = narrow(RETAIL, tier=wider, personal=wider)

    assert (limits.max_minor, limits.day_sum_minor, limits.hour_count) == (1_000_000_00, 5_000_000_00, 50)
    assert limits.set_by == {}


@pytest.mark.parametrize(
    ("bounds", "slots", "usd_minor", "limit"),
    [
        (Bounds(min_minor=10), 0, 9, "minimum_amount"),
        (Bounds(max_minor=10), 0, 11, "maximum_amount"),
        (Bounds(day_sum_minor=30), 2, 11, "daily_amount"),
        (Bounds(hour_count=2), 2, 10, "hourly_count"),
        (Bounds(day_count=2), 2, 10, "daily_count"),
    ],
    ids=["minimum", "maximum", "day's sum", "hour's count", "day's count"],
)
def test_a_block_says_whose_limit_it_was(bounds: Bounds, slots: int, usd_minor: int, limit: str) -> None:
    window = Window([(NOON_US, 10)] * slots)
    for tier, personal, whose in ((bounds, UNBOUNDED, "tier"), (UNBOUNDED, bounds, "personal")):
        found = find_breach(
            narrow(RETAIL, tier=tier, personal=personal), window, usd_minor=usd_minor, now_us=NOON_US + 1
        )
        assert found is not None
        assert (found.limit, found.set_by) == (limit, whose)


def test_a_combination_is_put_together_once_and_lifting_reaches_tier_and_person() -> None:
    policy = Policy(profiles={"retail": RETAIL}, rates={}, tiers={1: Bounds(day_sum_minor=10, version=2)})
    personal = Bounds(hour_count=1, max_minor=7, version=5)

    assert policy.limits_of("retail", 1, personal) is policy.limits_of("retail", 1, personal)
    assert policy.limits_of("retail", 2, UNBOUNDED).day_sum_minor == 5_000_000_00
    assert policy.limits_of("newer than what was read", 1, UNBOUNDED).profile == "retail"
    lifted = policy.with_velocity_lifted().limits_of("retail", 1, personal)
    full = Window([(NOON_US, 5_000_000_00)] * 300)
    assert find_breach(lifted, full, usd_minor=7, now_us=NOON_US) is None
    assert lifted.max_minor == 7, "a single transfer stays bounded"


@pytest.mark.parametrize(
    ("bounds", "code"),
    [
        (Bounds(), None),
        (CAPS["retail"], None),
        (Bounds(min_minor=2, max_minor=1), "minimum_above_maximum"),
        (Bounds(max_minor=1_000_000_01), "limit_above_cap"),
        (Bounds(day_sum_minor=5_000_000_01), "limit_above_cap"),
        (Bounds(hour_count=51), "limit_above_cap"),
        (Bounds(day_count=201), "limit_above_cap"),
        (Bounds(min_minor=1_000_000_00), None),
    ],
    ids=["nothing", "the caps", "contradiction", "maximum", "day's sum", "hour's count", "day's count", "minimum"],
)
def test_limits_stay_within_the_caps(bounds: Bounds, code: str | None) -> None:
    if code is None:
        require_within_caps(bounds, CAPS["retail"])
        return
    with pytest.raises(Unprocessable) as refusal:
        require_within_caps(bounds, CAPS["retail"])
    assert refusal.value.code == code


def test_saying_the_same_does_not_look_at_versions() -> None:
    assert Bounds(max_minor=1, version=2).says_the_same_as(Bounds(max_minor=1, version=3))
    assert not Bounds(max_minor=1).says_the_same_as(Bounds(min_minor=1))
