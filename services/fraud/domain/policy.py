"""What is in force: the limits of each profile and the rates they are measured with. Data, not code."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.fraud.domain.limits import LimitProfile
from services.fraud.domain.usd_rates import UsdRate

DEFAULT_PROFILE = "retail"


@dataclass(frozen=True, slots=True)
class Policy:
    """Profiles by name and rates by asset, as they stood when they were read."""

    profiles: Mapping[str, LimitProfile]
    rates: Mapping[str, UsdRate]

    def limits_of(self, profile: str) -> LimitProfile:
        """Return the limits of a profile; of the narrowest one for a profile newer than what was read."""
        return self.profiles.get(profile) or self.profiles[DEFAULT_PROFILE]

    def with_velocity_lifted(self) -> "Policy":
        """Return the same policy with no profile's counts or daily sum within reach."""
        lifted = {name: profile.with_velocity_lifted() for name, profile in self.profiles.items()}
        return Policy(profiles=lifted, rates=self.rates)
