"""The public key set by which services verify access tokens."""

import hashlib
import json
from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def key_set(*keys: Ed25519PublicKey) -> dict[str, list[dict[str, str]]]:
    """Return the JWK set (RFC 7517, RFC 8037) of the keys; `kid` is the key's thumbprint (RFC 7638)."""
    return {"keys": [_jwk(key) for key in keys]}


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    required = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_bytes_raw())}
    # RFC 7638: the required members alone, sorted, without white space.
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":")).encode("ascii")
    return required | {"kid": _base64url(hashlib.sha256(canonical).digest()), "alg": "EdDSA", "use": "sig"}


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
