"""Moments in query parameters: RFC 3339, and nothing that merely looks like it."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from libs.common.errors import Unprocessable

_CHARACTERS_MAX: Final = 40
_YEARS: Final = "(19[7-9][0-9]|[2-9][0-9]{3})"
"""No ledger is older than 1970, and the tick before year 1 does not exist."""
_RFC_3339: Final = re.compile(
    rf"({_YEARS}-[0-9]{{2}}-[0-9]{{2}})[Tt]([0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}})"
    r"(?:(\.[0-9]{1,6})[0-9]*)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


def read_moment(text: Any) -> datetime:
    """Read RFC 3339 (5.6) to the microsecond, finer digits cut off; aware, UTC. Raises: ValueError.

    What is written with an offset may come out a day before 1970; beyond the year 9999 it is the last moment of that.
    """
    found = _RFC_3339.fullmatch(text) if isinstance(text, str) and len(text) <= _CHARACTERS_MAX else None
    if found is None:
        message = "must be RFC 3339 with its offset, from 1970 on, such as 2026-03-01T09:30:00Z; write + as %2B"
        raise ValueError(message)
    date, _, time, fraction, offset = found.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{time}{(fraction or '.0').ljust(7, '0')}{offset.upper()}")
    except ValueError as failure:
        message = "is not a date and time that exists"
        raise ValueError(message) from failure
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _LAST


Moment = Annotated[
    datetime,
    BeforeValidator(read_moment),
    Field(
        json_schema_extra={
            "type": "string",
            "format": "date-time",
            "pattern": f"^{_YEARS}-",
            "maxLength": _CHARACTERS_MAX,
        }
    ),
]
"""A query parameter that is a moment."""


def require_past(moment: datetime | None, now: datetime) -> None:
    """Let pass what was. Raises: Unprocessable moment_in_future, because that answer would not stay true."""
    if moment is not None and moment > now:
        raise Unprocessable("moment_in_future", "Ask for a moment that has passed.")


def require_period(begins_at: datetime | None, ends_before: datetime | None) -> None:
    """Let pass `from` and `to` in order; equal, they are a period without moments.

    Raises: Unprocessable conflicting_parameters.
    """
    if begins_at is not None and ends_before is not None and begins_at > ends_before:
        raise Unprocessable("conflicting_parameters", "from is after to.")
