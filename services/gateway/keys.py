"""The key that seals the audit log."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def read_audit_key(file: Path) -> Ed25519PrivateKey:
    """Return the key. Raises: ValueError, TypeError or OSError, which end the start with their reason."""
    key = load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{file} holds no Ed25519 key")
    return key
