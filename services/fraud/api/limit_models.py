"""Bodies and answers about limits and rates. Amounts are US cents."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field

from libs.common.clock import to_rfc3339
from libs.common.http.models import AmountMinor, AssetCode, ShortText, StrictModel, WholeNumber
from services.fraud.domain.bounds import CAPS, Bounds
from services.fraud.domain.limit_standing import LimitStanding
from services.fraud.domain.limits import LimitName, SetBy
from services.fraud.domain.moments import from_us
from services.fraud.domain.set_by_staff import SetRate

_CAP = CAPS["business"]
_Amount = Annotated[int, Field(ge=1, le=_CAP.max_minor)]
_DaySum = Annotated[int, Field(ge=1, le=_CAP.day_sum_minor)]
_HourCount = Annotated[int, Field(ge=1, le=_CAP.hour_count), WholeNumber]
_DayCount = Annotated[int, Field(ge=1, le=_CAP.day_count), WholeNumber]


class ProfileLimitsBody(StrictModel):
    """All limits of a profile, and why."""

    min_minor: _Amount
    max_minor: _Amount
    day_sum_minor: _DaySum
    hour_count: _HourCount
    day_count: _DayCount
    reason: ShortText

    def bounds(self) -> Bounds:
        """Return the limits."""
        return _bounds_of(self)


class LimitsBody(StrictModel):
    """Any of the limits, those of one customer or of a tier, and why; what is null or left out is not bounded here."""

    min_minor: _Amount | None = None
    max_minor: _Amount | None = None
    day_sum_minor: _DaySum | None = None
    hour_count: _HourCount | None = None
    day_count: _DayCount | None = None
    reason: ShortText

    def bounds(self) -> Bounds:
        """Return the limits."""
        return _bounds_of(self)


class SetLimitsAnswer(BaseModel):
    """Limits as they were set; null is what is not bounded here. `version` 0 was never set."""

    min_minor: int | None
    max_minor: int | None
    day_sum_minor: int | None
    hour_count: int | None
    day_count: int | None
    version: int
    reason: str | None
    set_by: str | None
    set_at: str | None

    @classmethod
    def of(cls, bounds: Bounds, *, reason: str | None, set_by: str | None, set_at: datetime | None) -> Self:
        """Return the answer about these."""
        return cls(
            min_minor=bounds.min_minor,
            max_minor=bounds.max_minor,
            day_sum_minor=bounds.day_sum_minor,
            hour_count=bounds.hour_count,
            day_count=bounds.day_count,
            version=bounds.version,
            reason=reason,
            set_by=set_by,
            set_at=None if set_at is None else to_rfc3339(set_at),
        )


class LimitAnswer(BaseModel):
    """One limit: an amount in US cents (`…_minor`) or a number of transfers (`…_count`); the other three are null.

    A limit of a single transfer has nothing used or remaining. `resets_at` is when the first of what is used counts no
    more, null while nothing is used.
    """

    limit: LimitName
    limit_set_by: SetBy
    limit_minor: int | None = None
    used_minor: int | None = None
    remaining_minor: int | None = None
    limit_count: int | None = None
    used_count: int | None = None
    remaining_count: int | None = None
    resets_at: str | None = None

    @classmethod
    def of(cls, standing: LimitStanding) -> Self:
        """Return the answer about this limit."""
        figures: dict[str, int | None] = {f"limit_{standing.unit}": standing.allowed}
        if standing.used is not None:
            figures[f"used_{standing.unit}"] = standing.used
            figures[f"remaining_{standing.unit}"] = max(0, standing.allowed - standing.used)
        resets_at = None if standing.resets_at_us is None else to_rfc3339(from_us(standing.resets_at_us))
        return cls(limit=standing.limit, limit_set_by=standing.set_by, resets_at=resets_at, **figures)


class LimitsAnswer(BaseModel):
    """What a customer may send, over all his accounts, in US cents whatever the asset. Tier 0 sends nothing."""

    profile: str
    tier: int
    asset: AssetCode
    limits: list[LimitAnswer]


class CustomerLimitsAnswer(LimitsAnswer):
    """The same, with what was set for this customer alone."""

    personal: SetLimitsAnswer


class UsdRateBody(StrictModel):
    """One minor unit of the asset is worth `numerator / denominator` US cents; and why that is so."""

    numerator: AmountMinor
    denominator: AmountMinor
    reason: ShortText


class UsdRateAnswer(BaseModel):
    """One minor unit of the asset is worth `numerator / denominator` US cents."""

    asset: AssetCode
    numerator: int
    denominator: int
    version: int
    reason: str
    set_by: str | None
    set_at: str

    @classmethod
    def of(cls, asset: str, found: SetRate) -> Self:
        """Return the answer about this rate."""
        return cls(
            asset=asset, **found.rate.said(), reason=found.reason, set_by=found.set_by, set_at=to_rfc3339(found.set_at)
        )


def _bounds_of(body: ProfileLimitsBody | LimitsBody) -> Bounds:
    return Bounds(body.min_minor, body.max_minor, body.day_sum_minor, body.hour_count, body.day_count)
