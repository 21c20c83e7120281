"""Every night has one run, also after a day of downtime."""

from datetime import UTC, datetime, timedelta

import pytest

from services.ledger.domain.nights import is_due

NIGHT = datetime(2026, 3, 2, 2, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("now", "last", "due"),
    [
        (NIGHT, None, True),
        (NIGHT, NIGHT - DAY, True),
        (NIGHT - SECOND, NIGHT - DAY, False),
        (NIGHT - SECOND, NIGHT - DAY - SECOND, True),
        (NIGHT + SECOND, NIGHT, False),
        (NIGHT + 20 * timedelta(hours=1), NIGHT + SECOND, False),
        (NIGHT + 5 * DAY, NIGHT, True),
    ],
)
def test_a_night_is_due_once(now: datetime, last: datetime | None, due: bool) -> None:  # noqa: FBT001 -- a column
    assert is_due(now, last) is due
