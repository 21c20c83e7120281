"""Settings every service has: from the environment, one prefix per service; what is missing fails the start."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode

from libs.common.http.client_address import ForwardedHeader, TrustedProxies


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)]
"""In the environment: `10.0.0.0/8,2001:db8::/32`."""


class ServiceSettings(BaseSettings):
    """Read from `<SERVICE>_…` variables; a service adds its own fields and names its prefix."""

    postgres_dsn: SecretStr
    http_host: str = "127.0.0.1"
    http_port: int = Field(ge=1, le=65535)
    drain_seconds: float = Field(default=0.0, ge=0.0, le=60.0)
    """How long a process that was told to stop goes on as before, but for its readiness, which says no: as long as
    whoever shares out requests needs to notice. Without it those sent in that moment fail."""
    kafka: str
    """`host:port` of one bootstrap broker, or several separated by commas."""
    kafka_idempotence: bool = True
    """Idempotent producing. Off only for the in-memory local broker, whose own is broken."""
    kafka_fetch_max_wait_ms: int = Field(default=500, ge=1, le=5000)
    """How long the broker may hold an urgent reader's fetch open. Kafka answers as soon as it has data; the local
    broker looks only now and then, first after half the wait, so it is a few milliseconds there."""
    kafka_patient_fetch_max_wait_ms: int = Field(default=500, ge=1, le=5000)
    """The same for readers that nobody waits for: each poll of the local broker costs CPU, idle or not."""
    kafka_session_timeout_ms: int = Field(default=30_000, ge=1000, le=120_000)
    """After this silence a consumer's partitions go to another."""
    kafka_instance: str = ""
    """Name of this worker slot, unique among live processes; set, a restarted worker resumes at once (KIP-345)."""
    jwks_file: Path
    """Public keys that sign access tokens (RFC 7517); read again whenever the file changes."""
    max_auth_age_seconds: int = Field(default=0, ge=0, le=86_400)
    """How long ago staff may have proved themselves with a second factor to change something; 0 asks for none."""
    internal_token: SecretStr
    """Shared by the five services for the few questions they ask each other over HTTP."""
    metrics_token_file: Path | None = None
    """The token that `GET /metrics` is asked with, at least 32 characters; without one it answers nobody."""
    trusted_proxies: Networks = ()
    """Networks of the proxies in front of this process, which for all but the gateway is the gateway. Whoever connects
    from elsewhere is himself the caller, whatever his headers say."""
    forwarded_header: ForwardedHeader = "x-forwarded-for"
    """The one header in which those proxies name whom they speak for."""

    def proxies(self) -> TrustedProxies:
        """Return what finds out where a request comes from."""
        return TrustedProxies(self.trusted_proxies, self.forwarded_header)
