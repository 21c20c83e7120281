"""Amounts of any asset as US dollars, the unit of the limits."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from libs.common.money import MAX_AMOUNT_MINOR


@dataclass(frozen=True, slots=True)
class UsdRate:
    """How many US cents one minor unit of an asset is worth, as a fraction of two positive integers."""

    numerator: int
    denominator: int
    version: int

    def said(self) -> dict[str, int]:
        """Return the fraction and the version, by their names."""
        return asdict(self)


def usd_minor_of(amount_minor: int, rate: UsdRate) -> int:
    """Convert to US cents, rounded half up. More than any balance can hold is written as that bound.

    The bound is far above every limit, so no decision depends on what lies beyond it, and JSON readers keep it exact.
    """
    usd_minor = (2 * amount_minor * rate.numerator + rate.denominator) // (2 * rate.denominator)
    return usd_minor if usd_minor < MAX_AMOUNT_MINOR else MAX_AMOUNT_MINOR  # noqa: FURB136 -- min() is a call


def total_usd_minor(amounts_minor: Mapping[str, int], rates: Mapping[str, UsdRate]) -> int | None:
    """Return what amounts of several assets are worth together, each asset rounded once; None if one has no rate."""
    total_minor = 0
    for asset, amount_minor in amounts_minor.items():
        rate = rates.get(asset)
        if rate is None:
            return None
        total_minor += usd_minor_of(amount_minor, rate)
    return total_minor if total_minor < MAX_AMOUNT_MINOR else MAX_AMOUNT_MINOR  # noqa: FURB136 -- min() is a call
