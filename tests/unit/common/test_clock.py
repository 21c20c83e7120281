from datetime import UTC, datetime, timedelta, timezone

import pytest

from libs.common.clock import from_rfc3339, system_clock, to_rfc3339


def test_a_moment_is_written_in_utc_with_microseconds_whatever_zone_it_has() -> None:
    moment = datetime(2026, 3, 1, 11, 30, tzinfo=timezone(timedelta(hours=2)))
    assert to_rfc3339(moment) == "2026-03-01T09:30:00.000000Z"


def test_what_was_written_is_read_back() -> None:
    moment = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
    assert from_rfc3339(to_rfc3339(moment)) == moment


def test_written_moments_sort_as_they_follow_each_other() -> None:
    moments = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(microseconds=step) for step in (0, 1, 10**6, 10**11)]
    assert sorted(map(to_rfc3339, moments)) == list(map(to_rfc3339, moments))
    assert {len(to_rfc3339(moment)) for moment in moments} == {27}


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="has no UTC offset"):
        from_rfc3339("2026-03-01T09:30:00")


def test_the_system_clock_is_aware_and_in_utc() -> None:
    assert system_clock().utcoffset() == timedelta(0)
