"""Files by which a running stack is found again: secrets, keys, `stack.json`."""

import base64
import json
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.common.personal.master_keys import MasterKeyFile
from tallystick.commands.up import curl_lines, ready_line
from tallystick.stack.errors import StackAlreadyRunning, StackError, StackNotRunning
from tallystick.stack.folder_lock import folder_lock, is_locked
from tallystick.stack.jwks import key_set
from tallystick.stack.local_stack import StackOptions
from tallystick.stack.stack_file import Admin, ServiceAddress, Stack, find_stack, write_stack
from tallystick.stack.stack_secrets import load_or_make_keys, load_or_make_secrets


def a_stack() -> Stack:
    return Stack(
        api="http://127.0.0.1:8080",
        services={"ledger": ServiceAddress("http://127.0.0.1:17002", "http://127.0.0.1:17002/metrics", [4711])},
        infrastructure={"postgres": {"pids": [4001, 4002]}, "kafka": {"pids": [4003]}},
        postgres="postgresql://tallystick:root-pw@/tallystick?host=/run/pg&port=15432",
        kafka="127.0.0.1:19092",
        admin=Admin("admin@tallystick.example", "admin-pw"),
    )


def test_secrets_are_made_once(tmp_path: Path) -> None:
    first = load_or_make_secrets(tmp_path)
    assert load_or_make_secrets(tmp_path) == first
    assert len(set(first.role_passwords.values())) == 5


def test_unreadable_secrets_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(StackError, match="cannot be read"):
        load_or_make_secrets(tmp_path)
    assert (tmp_path / "secrets.json").read_text() == "{"


def test_the_public_key_set_verifies_what_the_private_key_signs(tmp_path: Path) -> None:
    keys = load_or_make_keys(tmp_path / "keys")
    token = jwt.encode({"sub": "somebody"}, keys.access_token.read_text(), algorithm="EdDSA")
    (published,) = jwt.PyJWKSet.from_json(keys.jwks.read_text()).keys
    assert jwt.decode(token, published.key, algorithms=["EdDSA"]) == {"sub": "somebody"}


def test_keys_are_made_once(tmp_path: Path) -> None:
    first, again = (load_or_make_keys(tmp_path / "keys") for _ in range(2))
    assert first == again
    kept = {path: path.read_bytes() for path in (first.ledger_signing, first.access_token, first.accounts_master)}
    load_or_make_keys(tmp_path / "keys")
    assert {path: path.read_bytes() for path in kept} == kept
    load_pem_private_key(kept[first.ledger_signing], password=None)
    assert len(MasterKeyFile(first.accounts_master).load()) == 2
    assert len(MasterKeyFile(first.kyc_master).load()) == 1


def test_a_key_s_id_is_its_thumbprint() -> None:
    # The example of RFC 8037, appendices A.2 and A.3.
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "="))
    (published,) = key_set(key)["keys"]
    assert published["x"] == x
    assert published["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_running_stack_is_found_by_its_folder(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        write_stack(tmp_path, a_stack())
        assert find_stack(tmp_path, {}) == a_stack()


def test_what_a_killed_stack_left_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    write_stack(tmp_path, a_stack())
    with pytest.raises(StackNotRunning, match="tallystick up --data"):
        find_stack(tmp_path, {})


def test_the_environment_names_a_stack_elsewhere(tmp_path: Path) -> None:
    elsewhere = {
        "TALLYSTICK_API": "https://pay.example/",
        "TALLYSTICK_POSTGRES": "postgresql://db.example/money",
        "TALLYSTICK_KAFKA": "kafka.example:9092",
        "TALLYSTICK_ADMIN_EMAIL": "ops@pay.example",
        "TALLYSTICK_ADMIN_PASSWORD": "secret",
    }
    found = find_stack(tmp_path, elsewhere)
    assert (found.api, found.admin) == ("https://pay.example", Admin("ops@pay.example", "secret"))


def test_an_incomplete_environment_is_named_instead_of_guessed(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="TALLYSTICK_POSTGRES is not"):
        find_stack(tmp_path, {"TALLYSTICK_API": "https://pay.example"})


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with folder_lock(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(StackAlreadyRunning, match="process"), folder_lock(tmp_path):
            pass
    assert not is_locked(tmp_path)


def test_the_ready_line_says_what_is_off_and_tells_no_secret(tmp_path: Path) -> None:
    line = ready_line(a_stack(), StackOptions(tmp_path, rate_limits=False, velocity_limits=False))
    assert (line["ready"], line["rate_limits"], line["velocity_limits"], line["second_factor"]) == (
        True,
        False,
        False,
        "off",
    )
    assert "-pw" not in json.dumps(line)
    assert "internal_token" not in line


def test_the_three_lines_register_log_in_and_open_an_account() -> None:
    register, login, account = curl_lines("http://127.0.0.1:8080", email="ada@example.com")
    assert "/api/v1/users" in register
    assert login.startswith("TOKEN=$(")
    assert 'Bearer $TOKEN" http://127.0.0.1:8080/api/v1/accounts' in account
