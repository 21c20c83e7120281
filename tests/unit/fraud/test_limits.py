"""The limits at their edges, and against the plainest possible way to count."""

import random
from itertools import takewhile

import pytest

from services.fraud.domain.limits import LimitProfile, find_breach
from services.fraud.domain.window import DAY_US, HOUR_US, Window

RETAIL = LimitProfile(
    profile="retail",
    min_minor=1,
    max_minor=1_000_000_00,
    day_sum_minor=5_000_000_00,
    hour_count=50,
    day_count=200,
    version=1,
)
NOON_US = 1_800_000_000_000_000


def breach(window: Window, *, usd_minor: int = 100, now_us: int = NOON_US) -> str | None:
    found = find_breach(RETAIL, window, usd_minor=usd_minor, now_us=now_us)
    return None if found is None else found.code


@pytest.mark.parametrize(
    ("usd_minor", "code"),
    [
        (0, "amount_below_minimum"),
        (1, None),
        (1_000_000_00, None),
        (1_000_000_01, "amount_limit_exceeded"),
    ],
)
def test_a_single_amount_passes_at_its_bounds_and_not_beyond(usd_minor: int, code: str | None) -> None:
    assert breach(Window(), usd_minor=usd_minor) == code


def test_the_day_sum_passes_when_it_is_reached_and_not_one_cent_above() -> None:
    window = Window([(NOON_US - 1, 4_999_999_00)])

    assert breach(window, usd_minor=1_00) is None
    assert breach(window, usd_minor=1_01) == "daily_amount_limit_exceeded"


def test_the_fiftieth_transfer_of_an_hour_passes_and_the_next_blocks() -> None:
    window = Window([(NOON_US, 1)] * 49)
    assert breach(window) is None
    window.take(NOON_US, 1)
    assert breach(window) == "hourly_count_limit_exceeded"


def test_the_two_hundredth_transfer_of_a_day_passes_and_the_next_blocks() -> None:
    window = Window([(NOON_US - 2 * HOUR_US, 1)] * 199)
    assert breach(window) is None
    window.take(NOON_US - 2 * HOUR_US, 1)
    assert breach(window) == "daily_count_limit_exceeded"


def test_a_slot_stops_counting_exactly_one_hour_and_one_day_later() -> None:
    hour = Window([(NOON_US, 1)] * 50)
    assert breach(hour, now_us=NOON_US + HOUR_US - 1) == "hourly_count_limit_exceeded"
    assert breach(hour, now_us=NOON_US + HOUR_US) is None

    day = Window([(NOON_US, 5_000_000_00)])
    assert breach(day, now_us=NOON_US + DAY_US - 1) == "daily_amount_limit_exceeded"
    assert breach(day, now_us=NOON_US + DAY_US) is None


def test_limits_are_named_in_their_order_when_several_are_broken() -> None:
    everything = Window([(NOON_US, 5_000_000_00)] * 200)
    assert breach(everything, usd_minor=0) == "amount_below_minimum"
    assert breach(everything, usd_minor=1_000_000_01) == "amount_limit_exceeded"
    assert breach(everything, usd_minor=1) == "daily_amount_limit_exceeded"
    assert breach(Window([(NOON_US, 1)] * 200), usd_minor=1) == "hourly_count_limit_exceeded"


def test_a_count_resets_when_the_oldest_slot_expires() -> None:
    window = Window((NOON_US + number, 1) for number in range(50))
    found = find_breach(RETAIL, window, usd_minor=1, now_us=NOON_US + 100)

    assert found is not None
    assert (found.allowed, found.used) == (50, 50)
    assert found.resets_at_us == NOON_US + HOUR_US
    assert breach(window, usd_minor=1, now_us=NOON_US + HOUR_US - 1) is not None
    assert breach(window, usd_minor=1, now_us=NOON_US + HOUR_US) is None


def test_the_day_sum_resets_when_enough_of_it_expires_for_this_very_amount() -> None:
    window = Window([(NOON_US, 1_000_00), (NOON_US + 5, 4_000_000_00), (NOON_US + 9, 999_000_00)])
    small = find_breach(RETAIL, window, usd_minor=900_00, now_us=NOON_US + 20)
    large = find_breach(RETAIL, window, usd_minor=1_000_000_00, now_us=NOON_US + 20)

    assert small is not None
    assert large is not None
    assert small.resets_at_us == NOON_US + DAY_US
    assert large.resets_at_us == NOON_US + 5 + DAY_US
    assert (large.used, large.requested_minor) == (5_000_000_00, 1_000_000_00)


def test_lifting_velocity_leaves_the_bounds_of_a_single_amount() -> None:
    lifted = RETAIL.with_velocity_lifted()
    full = Window([(NOON_US, 5_000_000_00)] * 300)

    assert find_breach(lifted, full, usd_minor=1, now_us=NOON_US) is None
    found = find_breach(lifted, full, usd_minor=1_000_000_01, now_us=NOON_US)
    assert found is not None
    assert found.code == "amount_limit_exceeded"


class Plain:
    """The slots as a list, in the order of their times, that is counted anew each time."""

    def __init__(self) -> None:
        self.slots: list[tuple[int, int]] = []

    def figures(self, now_us: int) -> tuple[int, int, int]:
        # From the newest back to the first that is a day old: behind it lie thousands that are older.
        day = list(takewhile(lambda slot: now_us - DAY_US < slot[0], reversed(self.slots)))
        hour = [at for at, _ in day if now_us - HOUR_US < at]
        return len(hour), len(day), sum(minor for _, minor in day)


@pytest.mark.parametrize("seed", range(5))
def test_a_window_counts_like_a_plain_list_through_ten_thousand_takes_releases_and_undos(seed: int) -> None:
    chance = random.Random(seed)
    window, plain, now_us = Window(), Plain(), NOON_US
    for _ in range(10_000):
        now_us += chance.choice([0, 1, 1_000_000, HOUR_US // 60, HOUR_US // 2, HOUR_US * 3])
        window.advance(now_us)
        match chance.randrange(8):
            case 0 if plain.slots:
                released = chance.choice(plain.slots[-40:])
                window.release(*released)
                if released[0] > now_us - DAY_US:
                    plain.slots.remove(released)
            case 1:
                window.take(now_us, 7)
                window.take_back()
            case _:
                slot = (now_us, chance.randrange(1, 10**8))
                window.take(*slot)
                plain.slots.append(slot)
                window.compact()
        assert (window.hour_count, window.day_count, window.day_sum_minor) == plain.figures(now_us)
        assert len(window) < 4096, "expired slots are dropped"


@pytest.mark.parametrize("seed", range(5))
def test_a_window_that_ran_ahead_and_is_rewound_counts_as_if_it_had_not(seed: int) -> None:
    chance = random.Random(seed)
    window, plain, now_us = Window(), Plain(), NOON_US
    for _ in range(3_000):
        now_us += chance.choice([0, 1_000_000, HOUR_US // 60, HOUR_US // 2, HOUR_US * 3])
        window.advance(now_us)
        slot = (now_us, chance.randrange(1, 10**8))
        window.take(*slot)
        plain.slots.append(slot)
        window.compact()

        window.advance(now_us + chance.choice([0, HOUR_US // 2, HOUR_US, 5 * HOUR_US, DAY_US, 3 * DAY_US]))
        window.rewind(now_us)

        assert (window.hour_count, window.day_count, window.day_sum_minor) == plain.figures(now_us)
