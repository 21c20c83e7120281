"""The gateway's settings, from `GATEWAY_…` variables."""

from pydantic_settings import SettingsConfigDict

from libs.common.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """Where the other services are, whether rate limits hold, and where spans go."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    accounts_url: str
    kyc_url: str
    ledger_url: str
    fraud_url: str
    rate_limits: bool = True
    otlp_endpoint: str = ""
    """Base URL of an OTLP/HTTP receiver (`http://collector:4318`) for spans of traced transfers; without it none."""
