"""Moments in queries are RFC 3339, and became the past before anybody may ask about them."""

from datetime import UTC, datetime, timedelta

import pytest

from libs.common.errors import Unprocessable
from libs.common.http.moments import read_moment, require_past

AT = datetime(2026, 3, 1, 9, 30, 5, 120_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T09:30:05.12Z",
        "2026-03-01t09:30:05.120000z",
        "2026-03-01T10:30:05.12+01:00",
        "2026-03-01T09:30:05.120000999Z",
    ],
)
def test_a_moment_has_many_spellings(text: str) -> None:
    assert read_moment(text) == AT
    assert read_moment(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-01",
        "2026-03-01T09:30:05",
        "2026-03-01T09:30Z",
        "2026-03-01 09:30:05Z",
        "2026-03-01T10:30:05 01:00",
        "20260301T093005Z",
        "2026-W09-7T09:30:05Z",
        "2026-02-29T09:30:05Z",
        "2026-03-01T24:30:05Z",
        "2026-03-01T09:30:05Z\n",
        "2026-03-01T09:30:0512Z",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "٢٠٢٦-03-01T09:30:05Z",
        "2026-03-01T09:30:05." + "1" * 30 + "Z",
        7,
        None,
    ],
)
def test_what_only_looks_like_a_moment_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"must be RFC 3339|is not a date"):
        read_moment(text)


def test_an_offset_takes_no_moment_out_of_the_calendar() -> None:
    assert read_moment("9999-12-31T23:59:59-14:00") == datetime.max.replace(tzinfo=UTC)
    assert read_moment("1970-01-01T00:00:00+14:00") == datetime(1969, 12, 31, 10, tzinfo=UTC)


def test_nobody_asks_about_the_future() -> None:
    require_past(None, AT)
    require_past(AT, AT)
    with pytest.raises(Unprocessable, match="moment_in_future"):
        require_past(AT + timedelta(microseconds=1), AT)
