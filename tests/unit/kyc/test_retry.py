"""Who is turned down may ask again, later each time, and at most so often in thirty days."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from libs.common.errors import Conflict
from services.kyc.domain.retry import (
    REJECTIONS_MAX,
    REJECTIONS_WITHIN,
    RETRY_AFTER,
    is_too_soon,
    retry_at_after,
)
from services.kyc.use_cases.wait_for_retry import require_waited

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("days_before", "waits"),
    [
        ([], DAY),
        ([2], 3 * DAY),
        ([2, 5], 7 * DAY),
        # The fourth within thirty days waits until the oldest of the four has left them.
        ([8, 12, 29], 7 * DAY),
        ([8, 12, 15], 15 * DAY),
        ([1, 2, 3], 27 * DAY),
        ([1, 2, 3, 4, 5], 27 * DAY),
        # What is older than thirty days is forgotten.
        ([30], DAY),
        ([31, 40, 2], 3 * DAY),
    ],
    ids=[
        "the first",
        "the second",
        "the third",
        "a fourth after long",
        "a fourth",
        "a fourth at once",
        "a sixth",
        "an old one",
        "old ones and a new one",
    ],
)
def test_each_rejection_waits_longer(days_before: list[int], waits: timedelta) -> None:
    assert retry_at_after([NOW - days * DAY for days in days_before], NOW) == NOW + waits


def test_whoever_asks_as_soon_as_he_may_is_turned_down_four_times_in_thirty_days() -> None:
    rejections, now = [NOW], NOW
    for _ in range(40):
        now = retry_at_after(rejections[:-1], rejections[-1])
        rejections.append(now)
    for moment in rejections:
        within = [at for at in rejections if moment - REJECTIONS_WITHIN < at <= moment]
        assert len(within) <= REJECTIONS_MAX
    spans = [later - earlier for earlier, later in pairwise(rejections)]
    assert tuple(spans[: len(RETRY_AFTER)]) == RETRY_AFTER


def test_from_the_moment_on_it_is_not_too_soon() -> None:
    assert [is_too_soon(at, NOW) for at in (None, NOW - HOUR, NOW, NOW + HOUR)] == [False, False, False, True]
    for at in (None, NOW):
        require_waited(at, NOW)
    with pytest.raises(Conflict) as refusal:
        require_waited(NOW + HOUR, NOW)
    assert (refusal.value.code, refusal.value.facts) == (
        "retry_too_soon",
        {"retry_at": "2026-03-01T13:00:00.000000Z", "retry_after_seconds": 3600},
    )


def test_it_is_never_said_to_be_over_before_it_is() -> None:
    with pytest.raises(Conflict) as refusal:
        require_waited(NOW + timedelta(milliseconds=1_200), NOW)
    assert refusal.value.facts["retry_after_seconds"] == 2
