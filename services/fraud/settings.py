"""Settings of fraud, read from `FRAUD_…` variables."""

from pydantic_settings import SettingsConfigDict

from libs.common.settings import ServiceSettings


class FraudSettings(ServiceSettings):
    """Every service's settings, and whether speed is being measured."""

    model_config = SettingsConfigDict(env_prefix="FRAUD_")

    velocity_limits_lifted: bool = False
    """Counts and daily sums beyond reach, so that a load generator is not blocked. Everything else stays."""
