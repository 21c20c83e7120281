"""When a slot's outcome is asked for, and whose slots are worth it."""

from datetime import UTC, datetime, timedelta

import pytest

from services.fraud.domain.limits import LimitProfile
from services.fraud.domain.outcome_questions import ASKED_TIMES_MAX, UNHEARD_AFTER, is_due, is_near_limit
from services.fraud.domain.window import DAY_US, Window
from services.fraud.use_cases.ask_outcomes import PayersNearLimits

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
LIMITS = LimitProfile("retail", 1, 100_000, 500_000, 50, 200, 1)


def due(times: int, since: timedelta) -> bool:
    """Tell whether it is, so long after the slot was taken, or after the last question."""
    asked_at = NOON if times else None
    taken_at = NOON - timedelta(days=1) if times else NOON
    return is_due(taken_at, times, asked_at, NOON + since)


def test_a_slot_is_asked_about_once_everybody_else_had_his_turn() -> None:
    assert not due(0, UNHEARD_AFTER - INSTANT)
    assert due(0, UNHEARD_AFTER)


@pytest.mark.parametrize(
    ("times", "pause"),
    [(1, timedelta(minutes=5)), (2, timedelta(minutes=25)), (3, timedelta(hours=2)), (4, timedelta(hours=10))],
)
def test_the_next_question_comes_ever_later(times: int, pause: timedelta) -> None:
    assert not due(times, pause - INSTANT)
    assert due(times, pause)


def test_after_the_last_question_nothing_is_asked_any_more() -> None:
    assert ASKED_TIMES_MAX == 5
    assert not due(5, timedelta(days=300))


@pytest.mark.parametrize(
    ("hours", "days", "minor", "near"),
    [
        (39, 120, 1, False),
        (40, 120, 1, True),
        (39, 121, 1, True),
        (0, 1, 399_999, False),
        (0, 1, 400_000, True),
    ],
    ids=["below both counts", "the hour's", "the day's", "below the sum", "the sum"],
)
def test_near_is_who_has_used_four_fifths_of_a_window(hours: int, days: int, minor: int, *, near: bool) -> None:
    window = Window([(1, minor)] * days + [(DAY_US - 1, minor)] * hours)
    window.advance(DAY_US)
    assert is_near_limit(LIMITS, window) is near


def test_whose_limits_are_lifted_is_never_near_them() -> None:
    window = Window([(1, 10**8)] * 1_000)
    assert not is_near_limit(LIMITS.with_velocity_lifted(), window)


def test_the_longest_noted_are_looked_at_first_and_dropped_first() -> None:
    near = PayersNearLimits(payers_max=3)
    for name in ("ann", "ben", "cat", "dan"):
        near.note({name: 4})
    near.note({"ben": 5})
    assert near.take(slots_max=9) == {"ben": 5, "cat": 4}
    assert near.take(slots_max=3) == {"dan": 4}, "one at least, however many slots of his count"
    assert near.take(slots_max=3) == {}
    assert len(near) == 0
