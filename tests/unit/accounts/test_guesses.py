"""How long the next guess waits."""

from datetime import UTC, datetime, timedelta

import pytest

from services.accounts.domain.guesses import (
    FOR_ACCOUNT,
    FOR_ADDRESS,
    FORGOTTEN_AFTER,
    Guesses,
    count_guess,
    uncount_guess,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def counted(wrong: int, *, last_at: datetime = NOW) -> Guesses:
    return Guesses(subject=b"x", wrong=wrong, locked_until=last_at, last_at=last_at)


@pytest.mark.parametrize(("wrong", "seconds"), [(1, 0), (4, 0), (5, 1), (6, 2), (14, 512), (15, 900), (10_000, 900)])
def test_some_guesses_are_free_then_the_wait_doubles_up_to_a_bound(wrong: int, seconds: int) -> None:
    assert FOR_ACCOUNT.lock_after(wrong) == timedelta(seconds=seconds)


def test_an_address_has_more_that_are_free_and_waits_less() -> None:
    assert [FOR_ADDRESS.lock_after(wrong).total_seconds() for wrong in (49, 50, 51, 1000)] == [0, 1, 2, 60]


def test_the_fifth_wrong_guess_locks() -> None:
    fifth = count_guess(counted(4), FOR_ACCOUNT, NOW)
    assert (fifth.wrong, fifth.locked_until, fifth.last_at) == (5, NOW + timedelta(seconds=1), NOW)


def test_what_was_not_wrong_is_uncounted_with_its_lock() -> None:
    before = counted(4)
    assert uncount_guess(count_guess(before, FOR_ACCOUNT, NOW), FOR_ACCOUNT) == before
    assert uncount_guess(counted(0), FOR_ACCOUNT).wrong == 0


def test_a_day_without_guesses_begins_the_count_anew() -> None:
    old = counted(50, last_at=NOW - FORGOTTEN_AFTER)
    assert count_guess(old, FOR_ACCOUNT, NOW).wrong == 1
    assert count_guess(counted(50, last_at=NOW - FORGOTTEN_AFTER + timedelta(seconds=1)), FOR_ACCOUNT, NOW).wrong == 51


def test_a_free_guess_makes_nobody_wait_whose_clock_is_behind() -> None:
    free = count_guess(counted(1), FOR_ACCOUNT, NOW)
    assert not free.is_locked(NOW - timedelta(seconds=2))
    fifth = count_guess(counted(4), FOR_ACCOUNT, NOW)
    assert fifth.is_locked(NOW - timedelta(seconds=2))
    assert not fifth.is_locked(NOW + timedelta(seconds=1))
