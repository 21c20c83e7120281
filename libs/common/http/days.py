"""Days in query parameters: `YYYY-MM-DD`, UTC, and nothing that merely looks like it."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BeforeValidator, Field

from libs.common.errors import Unprocessable

DAYS_MAX: Final = 366
_PATTERN: Final = r"^(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}$"
_DAY: Final = re.compile(_PATTERN)


def read_day(text: Any) -> date:
    """Read a full-date of RFC 3339, from 1970 on. Raises: ValueError."""
    if not isinstance(text, str) or not _DAY.fullmatch(text):
        message = "must be a day from 1970 on, such as 2026-03-01"
        raise ValueError(message)
    try:
        return date.fromisoformat(text)
    except ValueError as failure:
        message = "is not a day that exists"
        raise ValueError(message) from failure


Day = Annotated[
    date,
    BeforeValidator(read_day),
    Field(json_schema_extra={"type": "string", "format": "date", "pattern": _PATTERN}),
]
"""A query parameter that is a day, UTC."""


class Days(NamedTuple):
    """Some days, as the moments between which they lie: `begins_at` belongs to them, `ends_before` does not."""

    begins_at: datetime
    ends_before: datetime


def require_days(first: date, last: date) -> Days:
    """Return the days from the first to the last, both included.

    Raises: Unprocessable `conflicting_parameters` if they are the wrong way round, `period_too_long` beyond a year.
    """
    if first > last:
        raise Unprocessable("conflicting_parameters", "start_date is after end_date.")
    if (last - first).days >= DAYS_MAX:
        raise Unprocessable("period_too_long", f"Ask for at most {DAYS_MAX} days.", days=DAYS_MAX)
    begins_at = datetime(first.year, first.month, first.day, tzinfo=UTC)
    try:
        ends_before = begins_at + timedelta(days=(last - first).days + 1)
    except OverflowError:
        ends_before = datetime.max.replace(tzinfo=UTC)  # the day after the year 9999 does not exist
    return Days(begins_at, ends_before)
