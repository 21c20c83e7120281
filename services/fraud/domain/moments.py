"""Moments as integers: µs since 1970 UTC, which compare, subtract and fit flat arrays."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """Return an aware moment in µs since 1970 UTC, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(moment_us: int) -> datetime:
    """Return the aware UTC moment of `to_us`."""
    return _EPOCH + timedelta(microseconds=moment_us)


def us_or_zero(moment: datetime | None) -> int:
    """Return a time as `to_us` does, 0 for none."""
    return 0 if moment is None else to_us(moment)


def all_to_us(moments: Iterable[datetime] | None) -> tuple[int, ...]:
    """Return moments as `to_us` does; none for None, which is what nearly every row has."""
    return tuple(to_us(moment) for moment in moments) if moments else ()
