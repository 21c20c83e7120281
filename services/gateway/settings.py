"""The gateway's settings, from `GATEWAY_…` variables."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict

from libs.common.http.cors import Origins
from libs.common.settings import ServiceSettings


def _hosts_of(text: object) -> object:
    if not isinstance(text, str):
        return text
    return tuple(host.strip().lower() for host in text.split(",") if host.strip())


Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_hosts_of)]
PerMinute = Annotated[int, Field(ge=1, le=1_000_000)]


class Bounds(BaseModel):
    """How much somebody may ask for in a minute; `GATEWAY_LIMITS__READS=200` changes one of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    logins: PerMinute = 5
    """Log-ins, by address."""
    registrations: PerMinute = 10
    """Registrations and requests for a new password, by address; each costs as much as a log-in, or a mail."""
    auth: PerMinute = 30
    """Whatever else of `/auth` and `/me/email` changes something, by address, and by principal where one is known."""
    transfers: PerMinute = 20
    """Money requests, by principal; a batch is one."""
    people_per_address: PerMinute = 10
    """Money requests by address, of customers with the profile `retail`."""
    openings: PerMinute = 10
    """Accounts opened, by principal."""
    changes: PerMinute = 60
    """Whatever else changes something, by principal, or by address where nobody is known."""
    reads: PerMinute = 100
    """Reads, by principal, or by address where nobody is known."""


class GatewaySettings(ServiceSettings):
    """Where the other services are, which rate limits hold, and where spans go."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", env_nested_delimiter="__")

    accounts_url: str
    kyc_url: str
    ledger_url: str
    fraud_url: str
    rate_limits: bool = True
    limits: Bounds = Bounds()
    limits_store: SecretStr | None = None
    """`valkey://[user:password@]host:port/db`, or `valkeys://` over TLS: where several gateways count together. Without
    it each process counts for itself."""
    cors_origins: Origins = ()
    """Origins whose pages may call the API from a browser, separated by commas: `https://shop.example`."""
    audit_key_file: Path | None = None
    """Ed25519 private key (PKCS#8 PEM) that seals the audit log. Without it nothing is sealed."""
    audit_origin: str = "tallystick/audit"
    """The sealed log's name (C2SP origin) and that of its key; it stays with the log for ever."""
    audit_witness_file: Path | None = None
    """Where the newest seal is kept outside the database; on another disk, for whoever restores the one restores the
    other too. Without it a log whose end was cut off goes unnoticed."""
    webhook_keys_file: Path
    """Fernet keys that encrypt the secrets of webhooks, one a line: the first encrypts, each decrypts."""
    webhook_allowed_hosts: Hosts = ()
    """Hosts, separated by commas, that webhooks may reach without TLS and at any address: for receivers on the
    developer's own machine. In production none, or customers could have us call our own network."""
    otlp_endpoint: str = ""
    """Base URL of an OTLP/HTTP receiver (`http://collector:4318`) for spans of traced transfers; without it none."""
