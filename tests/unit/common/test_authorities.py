"""The system's authorities are read once in a process, and whoever is asked over TLS must still prove who he is."""

import ssl
from typing import Any

import pytest
from pydantic import SecretStr

from libs.common.http.authorities import trusted_authorities
from libs.common.http.credential_owner import DistantOwner
from libs.common.personal.erased_at_accounts import ErasedAtAccounts
from services.accounts.sisters import Sisters
from services.ledger.sisters import ShownAccounts


def test_a_certificate_must_be_there_and_name_its_host() -> None:
    assert trusted_authorities().verify_mode is ssl.CERT_REQUIRED
    assert trusted_authorities().check_hostname


async def test_clients_of_one_process_do_not_read_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    trusted_authorities()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the authorities are read again")

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", refuse)
    token = SecretStr("sister to sister")
    await DistantOwner("https://accounts", "sister to sister").close()
    await ErasedAtAccounts("https://accounts", token).close()
    async with ShownAccounts("https://accounts", token):
        pass
    await Sisters({"ledger": "https://ledger", "gateway": "https://gateway"}, token).close()
