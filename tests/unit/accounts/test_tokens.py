"""Access tokens verify with the published keys alone."""

import json
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import OKPAlgorithm

from libs.common.errors import InvariantBroken
from services.accounts.domain.session import Caller, Proof, first_session
from services.accounts.tokens import AccessTokens, new_refresh_token, refresh_token_hash

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SESSION = first_session("s", user_id="u", proof=Proof(NOW, frozenset({"pwd"})), caller=Caller("192.0.2.1", ""))


def written(folder: Path, signing: Ed25519PrivateKey, *published: Ed25519PrivateKey) -> tuple[Path, Path]:
    pem, jwks = folder / "key.pem", folder / "jwks.json"
    pem.write_bytes(signing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    keys = [
        OKPAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": f"key-{number}"}
        for number, key in enumerate(published)
    ]
    jwks.write_text(json.dumps({"keys": keys}))
    return pem, jwks


def test_a_token_names_the_published_key_that_verifies_it(tmp_path: Path) -> None:
    older, newer = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    tokens = AccessTokens(*written(tmp_path, newer, older, newer))
    token = tokens.issue(session=SESSION, roles=frozenset({"customer"}), now=NOW)
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "kid": "key-1", "typ": "JWT"}
    claims = jwt.decode(token, newer.public_key(), ["EdDSA"], audience="tallystick", options={"verify_exp": False})
    assert claims["sub"] == "u"
    assert [key["kid"] for key in tokens.key_set()["keys"]] == ["key-0", "key-1"]


def test_every_token_has_an_id_of_its_own(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    tokens = AccessTokens(*written(tmp_path, key, key))
    ids = {
        jwt.decode(tokens.issue(session=SESSION, roles=frozenset(), now=NOW), options={"verify_signature": False})[
            "jti"
        ]
        for _ in range(10)
    }
    assert len(ids) == 10


def test_a_signing_key_nobody_can_verify_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvariantBroken):
        AccessTokens(*written(tmp_path, Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()))


def test_a_refresh_token_is_long_random_and_known_by_its_hash() -> None:
    first, second = new_refresh_token(), new_refresh_token()
    assert first.text != second.text
    assert len(first.text) == 43
    assert first.sha256 == refresh_token_hash(first.text)
    assert len(first.sha256) == 32
