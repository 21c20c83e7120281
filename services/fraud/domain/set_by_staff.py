"""Limits and rates as staff set them: what holds, why, by whom and since when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.fraud.domain.bounds import Bounds
from services.fraud.domain.usd_rates import UsdRate

LimitKind = Literal["profile", "tier"]


@dataclass(frozen=True, slots=True)
class SetLimits:
    """The limits of a profile or a tier; `set_by` is None for those we began with."""

    bounds: Bounds
    reason: str
    set_by: str | None
    set_at: datetime


@dataclass(frozen=True, slots=True)
class PersonalLimits:
    """The limits of one customer's own; all of it is empty where nothing ever was set."""

    bounds: Bounds
    reason: str | None = None
    set_by: str | None = None
    set_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SetRate:
    """What an asset is worth; `set_by` is None for what we began with."""

    rate: UsdRate
    reason: str
    set_by: str | None
    set_at: datetime
