"""What a KYC tier or a person may send: any of the five limits, which make a profile's narrower, never wider."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

from libs.common.errors import Unprocessable
from services.fraud.domain.limits import LimitName, LimitProfile, SetBy


@dataclass(frozen=True, slots=True)
class Bounds:
    """Any of the limits, in the units of a profile; None leaves one as it is. `version` is that of the stored row."""

    min_minor: int | None = None
    max_minor: int | None = None
    day_sum_minor: int | None = None
    hour_count: int | None = None
    day_count: int | None = None
    version: int = 0

    def said(self) -> dict[str, int]:
        """Return the limits that are bounded, by their names here, and the version."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def says_the_same_as(self, other: "Bounds") -> bool:
        """Tell whether the limits are the same, whatever the versions."""
        return replace(self, version=0) == replace(other, version=0)


LIMIT_OF_FIELD: Final[Mapping[str, LimitName]] = {
    "min_minor": "minimum_amount",
    "max_minor": "maximum_amount",
    "day_sum_minor": "daily_amount",
    "hour_count": "hourly_count",
    "day_count": "daily_count",
}

_RETAIL: Final = Bounds(min_minor=1, max_minor=1_000_000_00, day_sum_minor=5_000_000_00, hour_count=50, day_count=200)
CAPS: Final[Mapping[str, Bounds]] = {
    "retail": _RETAIL,
    "business": replace(_RETAIL, hour_count=10_000, day_count=50_000),
}
"""Profile → what nobody of it goes beyond; the tables' constraints say the same. Tiers and persons: as business."""


_CAPPED: Final = tuple(name for name in LIMIT_OF_FIELD if name != "min_minor")


def narrow(profile: LimitProfile, *, tier: Bounds, personal: Bounds) -> LimitProfile:
    """Return the narrowest of each limit, and whose it is; of equal ones the profile's, then the tier's."""
    set_by: dict[LimitName, SetBy] = {}
    bounds: tuple[tuple[SetBy, Bounds], ...] = (("tier", tier), ("personal", personal))

    def narrowest(name: str) -> int:
        best: int = getattr(profile, name)
        for whose, one in bounds:
            bound: int | None = getattr(one, name)
            if bound is not None and (bound > best if name == "min_minor" else bound < best):
                best = bound
                set_by[LIMIT_OF_FIELD[name]] = whose
        return best

    return replace(
        profile,
        min_minor=narrowest("min_minor"),
        max_minor=narrowest("max_minor"),
        day_sum_minor=narrowest("day_sum_minor"),
        hour_count=narrowest("hour_count"),
        day_count=narrowest("day_count"),
        set_by=set_by,
        tier_version=tier.version,
        personal_version=personal.version,
    )


def require_within_caps(bounds: Bounds, caps: Bounds) -> None:
    """Let limits pass that contradict neither each other nor the caps.

    Raises: Unprocessable `minimum_above_maximum`, `limit_above_cap` with what the cap is.
    """
    if bounds.min_minor is not None and bounds.max_minor is not None and bounds.min_minor > bounds.max_minor:
        raise Unprocessable("minimum_above_maximum", "The least amount would be above the most.")
    for name in _CAPPED:
        said, cap = getattr(bounds, name), getattr(caps, name)
        if said is not None and said > cap:
            limit = LIMIT_OF_FIELD[name]
            raise Unprocessable("limit_above_cap", "Nobody's limit goes beyond the cap.", limit=limit, cap=cap)
