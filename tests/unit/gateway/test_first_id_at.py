"""Bounds of UUIDv7 by time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from libs.common.clock import system_clock
from libs.common.ids import first_id_at, is_id, new_id

MILLISECOND = timedelta(milliseconds=1)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- as hypothesis asks


@given(MOMENTS)
def test_the_bound_is_the_smallest_id_of_its_millisecond(moment: datetime) -> None:
    bound = first_id_at(moment)
    assert is_id(bound)
    assert (UUID(bound).version, UUID(bound).variant) == (7, "specified in RFC 4122")
    assert UUID(bound).int >> 80 == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // MILLISECOND
    assert UUID(bound).int & ((1 << 62) - 1) == 0


@given(MOMENTS)
@example(datetime(2108, 7, 6, 15, 27, 44, 701_000, tzinfo=UTC))  # as a float of seconds it is a millisecond earlier
def test_bounds_sort_as_their_times_do(moment: datetime) -> None:
    assert first_id_at(moment) < first_id_at(moment + MILLISECOND)


def test_an_id_made_now_lies_between_the_bounds_around_now() -> None:
    before = system_clock()
    made = new_id()
    after = system_clock()
    assert first_id_at(before) <= made < first_id_at(after + MILLISECOND)
