"""Settings of fraud, read from `FRAUD_…` variables."""

from pydantic_settings import SettingsConfigDict

from libs.common.settings import ServiceSettings


class FraudSettings(ServiceSettings):
    """Every service's settings, whether speed is being measured, and where spans go."""

    model_config = SettingsConfigDict(env_prefix="FRAUD_")

    accounts_url: str
    """Asked for what was revoked, and who was erased."""
    velocity_limits_lifted: bool = False
    """Counts and daily sums beyond reach, so that a load generator is not blocked. Everything else stays."""
    otlp_endpoint: str = ""
    """Base URL of an OTLP/HTTP receiver (`http://collector:4318`) for spans of traced transfers; without it none."""
