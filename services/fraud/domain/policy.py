"""What is in force: the limits of each profile and tier, and the rates they are measured with. Data, not code."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from services.fraud.domain.bounds import Bounds, narrow
from services.fraud.domain.limits import LimitProfile
from services.fraud.domain.usd_rates import UsdRate

DEFAULT_PROFILE = "retail"
UNBOUNDED: Final = Bounds()


@dataclass(frozen=True, slots=True)
class Policy:
    """Profiles by name, tiers by number and rates by asset, as they stood when they were read."""

    profiles: Mapping[str, LimitProfile]
    rates: Mapping[str, UsdRate]
    tiers: Mapping[int, Bounds] = field(default_factory=dict)
    velocity_lifted: bool = False
    _narrowed: dict[tuple[str, int, Bounds | None], LimitProfile] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def limits_of(self, profile: str, tier: int, personal: Bounds) -> LimitProfile:
        """Return the narrowest limits of profile, tier and person; for a profile newer than what was read, retail's.

        Each combination is put together once: it is asked for with every decision.
        """
        # To hash all bounds costs as much as the rest of this; hardly anybody has bounds of his own.
        combination = (profile, tier, None if personal is UNBOUNDED else personal)
        limits = self._narrowed.get(combination)
        if limits is None:
            of_profile = self.profiles.get(profile) or self.profiles[DEFAULT_PROFILE]
            limits = narrow(of_profile, tier=self.tiers.get(tier, UNBOUNDED), personal=personal)
            if self.velocity_lifted:
                limits = limits.with_velocity_lifted()
            self._narrowed[combination] = limits
        return limits

    def with_velocity_lifted(self) -> "Policy":
        """Return the same policy with nobody's counts or daily sum within reach."""
        return replace(self, velocity_lifted=True)
