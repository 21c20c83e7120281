"""Settings of kyc, read from `KYC_…` variables."""

from pathlib import Path

from pydantic_settings import SettingsConfigDict

from libs.common.settings import ServiceSettings


class KycSettings(ServiceSettings):
    """Every service's settings, where accounts is, and what seals applications."""

    model_config = SettingsConfigDict(env_prefix="KYC_")

    accounts_url: str
    """Asked for what was revoked."""
    master_keys_file: Path
    """Master keys that seal applications, base64, one a line, the newest first."""
    documents_url: str
    """Where the sealed files of documents lie: `file:///…` or `s3://bucket/prefix`, then with the usual `AWS_…`."""
