"""Settings of kyc, read from `KYC_…` variables."""

from pydantic_settings import SettingsConfigDict

from libs.common.settings import ServiceSettings


class KycSettings(ServiceSettings):
    """Every service's settings are all that kyc needs."""

    model_config = SettingsConfigDict(env_prefix="KYC_")
