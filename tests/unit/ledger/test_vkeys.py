"""Which keys the ledger publishes, and where its settings for the proof come from."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.proof.signed_note import VkeyInvalid, vkey
from services.ledger.keys import read_vkeys
from services.ledger.settings import LedgerSettings

ORIGIN = "ledger.example/0"
KEY, OLD, OLDER = (Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (1, 2, 3))
OWN, RETIRED, OLDEST = (vkey(ORIGIN, key.public_key()) for key in (KEY, OLD, OLDER))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LedgerSettings:
    for name in ("POSTGRES_DSN", "KAFKA", "JWKS_FILE", "INTERNAL_TOKEN", "SIGNING_KEY_FILE", "ACCOUNTS_URL"):
        monkeypatch.setenv(f"LEDGER_{name}", "x")
    monkeypatch.setenv("LEDGER_HTTP_PORT", "8080")
    monkeypatch.setenv("LEDGER_ORIGIN", ORIGIN)
    monkeypatch.setenv("LEDGER_CHECKPOINT_DIR", "/own")
    monkeypatch.setenv("LEDGER_RETIRED_VKEYS_FILE", str(tmp_path / "retired.vkeys"))
    return LedgerSettings()


def published(settings: LedgerSettings, retired: str) -> list[str]:
    assert settings.retired_vkeys_file is not None
    settings.retired_vkeys_file.write_text(retired)
    return read_vkeys(settings, KEY).splitlines()


def test_the_signing_key_comes_first_and_retired_ones_in_their_order(settings: LedgerSettings) -> None:
    assert published(settings, "") == [OWN]
    assert published(settings, f"{RETIRED}\n\n {OLDEST}\n") == [OWN, RETIRED, OLDEST]


def test_a_key_is_listed_once_when_its_line_was_kept_before_it_was_replaced(settings: LedgerSettings) -> None:
    assert published(settings, f"{OWN}\n{RETIRED}\n") == [OWN, RETIRED]


def test_a_line_that_is_no_key_ends_the_start(settings: LedgerSettings) -> None:
    with pytest.raises(VkeyInvalid):
        published(settings, "nonsense\n")


def test_without_retired_keys_there_is_the_signing_key_alone(settings: LedgerSettings) -> None:
    assert read_vkeys(settings.model_copy(update={"retired_vkeys_file": None}), KEY) == f"{OWN}\n"


def test_the_folder_named_for_all_of_tallystick_comes_first(
    settings: LedgerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.checkpoint_dir == Path("/own")
    monkeypatch.setenv("TALLYSTICK_CHECKPOINT_DIR", "/elsewhere")
    assert LedgerSettings().checkpoint_dir == Path("/elsewhere")
