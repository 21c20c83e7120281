"""Settings of the ledger, read from `LEDGER_…` variables."""

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import SettingsConfigDict

from libs.common.settings import ServiceSettings


class LedgerSettings(ServiceSettings):
    """What the ledger needs beyond every service's settings."""

    model_config = SettingsConfigDict(env_prefix="LEDGER_")

    signing_key_file: Path
    """Ed25519 private key (PKCS#8 PEM) that signs checkpoints. Whoever has it can sign in the ledger's name."""
    origin: str
    """The log's name in every checkpoint (C2SP origin) and the name of its key; it stays with the journal for ever."""
    retired_vkeys_file: Path | None = None
    """Public keys that signed before this one, and under earlier origins: one C2SP vkey a line, newest first."""
    checkpoint_dir: Path | None = Field(
        default=None, validation_alias=AliasChoices("TALLYSTICK_CHECKPOINT_DIR", "LEDGER_CHECKPOINT_DIR")
    )
    """Folder outside the database for the newest checkpoint; on another disk, for whoever restores the one restores
    the other too. It must exist. Without it a tail that was cut off goes unnoticed."""
    accounts_url: str
    """Asked for what was revoked, and for its digests."""
    otlp_endpoint: str = ""
    """Base URL of an OTLP/HTTP receiver (`http://collector:4318`) for spans of traced transfers; without it none."""
    gateway_url: str = ""
    fraud_url: str = ""
    kyc_url: str = ""
    """Where those are whose digests reconciliation compares; one without an address is left out, and said to be."""
