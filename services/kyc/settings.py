"""Settings of kyc, read from `KYC_…` variables."""

from pydantic_settings import SettingsConfigDict

from libs.common.settings import ServiceSettings


class KycSettings(ServiceSettings):
    """Every service's settings, and where accounts is."""

    model_config = SettingsConfigDict(env_prefix="KYC_")

    accounts_url: str
    """Asked for what was revoked."""
