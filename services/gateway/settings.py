"""The gateway's settings, from `GATEWAY_…` variables."""

from pydantic_settings import SettingsConfigDict

from libs.common.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """Where the other services are, and whether rate limits hold."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    accounts_url: str
    kyc_url: str
    ledger_url: str
    fraud_url: str
    rate_limits: bool = True
