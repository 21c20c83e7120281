"""Secrets that have to be read again, sealed for the database: AES-256-GCM (NIST SP 800-38D) by a key from a file."""

import base64
import hmac
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from libs.common.errors import InvariantBroken
from libs.common.invariants import check

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class SealedSecrets:
    """Seals and opens. A sealed secret opens for its owner alone, so rows cannot be swapped."""

    def __init__(self, key_file: Path) -> None:
        """Read the key, 32 bytes in base64. Raises: OSError, ValueError, InvariantBroken."""
        key = base64.b64decode(key_file.read_text(encoding="ascii").strip(), validate=True)
        check(len(key) == _KEY_BYTES, "the key of sealed secrets has 32 bytes", file=str(key_file))
        self._cipher: Final = AESGCM(key)
        derive = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=b"tallystick keyed hash")
        self._hash_key: Final = derive.derive(key)

    def keyed_hash(self, text: str) -> bytes:
        """Return a hash by which the text is found again and, without the key, not guessed (HMAC-SHA-256, RFC 2104)."""
        return hmac.digest(self._hash_key, text.encode(), "sha256")

    def seal(self, secret: str, *, owner_id: str) -> bytes:
        """Return nonce and ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), owner_id.encode())

    def open(self, sealed: bytes, *, owner_id: str) -> str:
        """Return the secret. Raises: InvariantBroken for what this key did not seal for this owner."""
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner_id.encode())
        except InvalidTag as failure:
            raise InvariantBroken("a sealed secret opens with our key", owner_id=owner_id) from failure
        return plain.decode()
