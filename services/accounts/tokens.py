"""Access tokens are JWTs signed with Ed25519 (RFC 7519, RFC 8037); refresh tokens are random and stored hashed."""

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import OKPAlgorithm

from libs.common.errors import InvariantBroken
from libs.common.ids import new_id
from libs.common.invariants import check
from services.accounts.domain.session import Session, access_claims

_REFRESH_TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a login and a refresh answer with; neither shows in a log."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A fresh refresh token: the text for the customer, the hash for the database."""

    text: str = field(repr=False)
    sha256: bytes


def new_refresh_token() -> RefreshToken:
    """Return a token of 256 random bits; being random, it needs no slow hash."""
    text = secrets.token_urlsafe(_REFRESH_TOKEN_BYTES)
    return RefreshToken(text=text, sha256=refresh_token_hash(text))


def refresh_token_hash(text: str) -> bytes:
    """Return what the database knows of a refresh token."""
    return hashlib.sha256(text.encode()).digest()


class AccessTokens:
    """Signs with the key on disk; verifiers read the whole set, so a change of keys logs nobody out."""

    def __init__(self, private_key_file: Path, jwks_file: Path) -> None:
        """Read the private key (PKCS#8 PEM) and find its public half in the set.

        Raises: OSError or ValueError when a file cannot be read; InvariantBroken when the set lacks the key.
        """
        self._private_key_file: Final = private_key_file
        self._jwks_file: Final = jwks_file
        self._changed_at = -1
        self._key, self._key_id = self._signer()

    def _signer(self) -> tuple[Ed25519PrivateKey, str]:
        """Return the key that signs and its id, read again whenever the file was replaced."""
        changed_at = self._private_key_file.stat().st_mtime_ns
        if changed_at != self._changed_at:
            self._key, self._key_id = self._read()
            self._changed_at = changed_at
        return self._key, self._key_id

    def _read(self) -> tuple[Ed25519PrivateKey, str]:
        key = load_pem_private_key(self._private_key_file.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise InvariantBroken("the token key is an Ed25519 key", file=str(self._private_key_file))
        public = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        matching = [jwk for jwk in self.key_set()["keys"] if jwk.get("x") == public["x"]]
        check(len(matching) == 1, "the key set names the key that signs, once", file=str(self._jwks_file))
        return key, str(matching[0]["kid"])

    def issue(self, *, session: Session, roles: frozenset[str], now: datetime) -> str:
        """Return a signed access token with a fresh `jti`."""
        claims = access_claims(session=session, roles=roles, token_id=new_id(), now=now)
        key, key_id = self._signer()
        return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": key_id})

    def key_set(self) -> dict[str, list[dict[str, Any]]]:
        """Return the public key set (RFC 7517) as it lies on disk now."""
        key_set: dict[str, list[dict[str, Any]]] = json.loads(self._jwks_file.read_text(encoding="utf-8"))
        return key_set
