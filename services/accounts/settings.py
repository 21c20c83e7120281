"""Settings of accounts, read from `ACCOUNTS_…` variables."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from libs.common.settings import ServiceSettings


class AccountsSettings(ServiceSettings):
    """What accounts needs beyond every service's settings."""

    model_config = SettingsConfigDict(env_prefix="ACCOUNTS_")

    master_keys_file: Path
    """Master keys that seal names, e-mails, secrets of authenticators and mails, base64, one a line, newest first."""
    token_key_file: Path
    """Ed25519 private key (PKCS#8 PEM) that signs access tokens; its public half stands in `jwks_file`."""
    admin_email: str | None = None
    admin_password: SecretStr | None = None
    """With both, the first admin is made at start unless the e-mail is known."""
    require_verified_email: bool = False
    """Refuse to log in whoever has not verified his e-mail."""
    gateway_url: str = ""
    ledger_url: str = ""
    """Where the sisters answer. Closing a customer needs both."""
    retention_days: int = Field(default=1827, ge=31, le=36_525)
    """How long a customer's data is kept after he closed before it may be erased; five years by default. Not below what
    fraud looks back at: an erasure takes away rows from which the features of those whom he paid are counted."""
    smtp_host: str | None = None
    """The server that takes our mails. Without one they are written into `mail_folder`."""
    smtp_port: int = Field(default=465, ge=1, le=65535)
    smtp_encryption: Literal["tls", "starttls", "none"] = "tls"
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    mail_from: str = "Tallystick <no-reply@tallystick.example>"
    mail_folder: Path = Path("mail")
    opening_patience_seconds: float = Field(default=1.0, ge=0, le=10)
    """How long opening an account waits for the ledger before it answers 202."""
    accounts_per_asset_max: int = Field(default=100, ge=1, le=10_000)
    """How many accounts of one asset a customer may have that are not closed."""
