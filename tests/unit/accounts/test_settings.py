"""Which settings accounts starts with."""

import pytest
from pydantic import ValidationError

from services.accounts.settings import AccountsSettings
from services.fraud.store.activity import KEPT_FOR


@pytest.fixture(autouse=True)
def _settings_of_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POSTGRES_DSN", "KAFKA", "JWKS_FILE", "INTERNAL_TOKEN", "MASTER_KEYS_FILE", "TOKEN_KEY_FILE"):
        monkeypatch.setenv(f"ACCOUNTS_{name}", "x")
    monkeypatch.setenv("ACCOUNTS_HTTP_PORT", "8080")


def test_nobody_is_erased_while_fraud_looks_back_at_what_he_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCOUNTS_RETENTION_DAYS", str(KEPT_FOR.days - 1))
    with pytest.raises(ValidationError, match=r"retention_days\n +Input should be greater than or equal to 31 "):
        AccountsSettings()
    monkeypatch.setenv("ACCOUNTS_RETENTION_DAYS", str(KEPT_FOR.days))
    assert AccountsSettings().retention_days == 31
