"""Secrets of webhooks: made here, shown once, and kept encrypted, since they must be read again to sign.

Fernet (AES-128-CBC and HMAC-SHA256) with keys from a file: a copy of the database, or of a backup, does not let anybody
sign in our name.
"""

from base64 import b64encode
from datetime import datetime
from pathlib import Path
from secrets import token_bytes
from typing import Final

from cryptography.fernet import Fernet, MultiFernet
from standardwebhooks import Webhook as Signer

_SECRET_BYTES: Final = 32
_PREFIX: Final = "whsec_"


class WebhookSecrets:
    """Seals and opens secrets, and signs with them."""

    def __init__(self, keys_file: Path) -> None:
        """Read the keys, one Fernet key a line: the first seals, each opens. Raises: OSError, ValueError."""
        keys = keys_file.read_text().split()
        self._box = MultiFernet([Fernet(key) for key in keys])

    def make(self) -> tuple[str, bytes]:
        """Return a new secret as its owner is shown it, and sealed."""
        secret = _PREFIX + b64encode(token_bytes(_SECRET_BYTES)).decode()
        return secret, self._box.encrypt(secret.encode())

    def sign(self, sealed: tuple[bytes, ...], message_id: str, now: datetime, body: bytes) -> str:
        """Return a Standard Webhooks signature for each secret, separated by spaces."""
        text = body.decode()
        secrets = [self._box.decrypt(secret).decode() for secret in sealed]
        return " ".join(Signer(secret).sign(message_id, now, text) for secret in secrets)
