"""Seals personal data: AES-256-GCM (NIST SP 800-38D) under a key of the person's own, wrapped by a master key.

Destroying the wrapped key makes everything sealed under it unreadable for good. What must be found again without
being read is known by its HMAC-SHA-256 (RFC 2104) under a key of its own.
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from typing import Final, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.errors import InvariantBroken
from libs.common.invariants import check

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_KEY_ID_BYTES: Final = 8


class Sealer:
    """Seals and opens what one service stores about people. Nothing of it is awaited, and nothing shows in a log."""

    def __init__(self, master_keys: Sequence[bytes], load_again: Callable[[], Sequence[bytes]] | None = None) -> None:
        """Take the master keys, newest first; see `MasterKeys.load`.

        `load_again` is asked when something was sealed by a key that is none of them: somebody rewraps before this
        process was restarted. What it returns holds from then on.
        """
        self._load_again = load_again
        self._search_key: Final = _derive(master_keys[-1], b"search")
        self._take(master_keys)

    @property
    def newest_id(self) -> bytes:
        """With what everything begins that the newest master key sealed."""
        return self._newest_id

    def new_key(self, person_id: str) -> bytes:
        """Return a fresh key for this person, wrapped; it is all that may be stored of it."""
        return self._wrap(os.urandom(_KEY_BYTES), person_id)

    def rewrap(self, wrapped: bytes, person_id: str) -> bytes:
        """Return the same key wrapped by the newest master key; what is sealed under it stays as it is."""
        return self._wrap(self._unwrap(wrapped, person_id), person_id)

    def seal(self, wrapped: bytes, person_id: str, field: str, text: str) -> bytes:
        """Return the text sealed under the person's key; it opens only as this field of this person."""
        return _seal(AESGCM(self._unwrap(wrapped, person_id)), text.encode(), f"{field}|{person_id}")

    def open(self, wrapped: bytes, person_id: str, field: str, sealed: bytes) -> str:
        """Return the text. Raises: InvariantBroken when it was changed, or sealed as something else."""
        return _open(AESGCM(self._unwrap(wrapped, person_id)), sealed, f"{field}|{person_id}").decode()

    def seal_in_passing(self, row_id: str, content: bytes) -> bytes:
        """Return the content of a row that is deleted soon, sealed under the newest master key itself."""
        return self._newest_id + _seal(self._wrapping[self._newest_id], content, f"row|{row_id}")

    def open_in_passing(self, row_id: str, sealed: bytes) -> bytes:
        """Return the content of such a row. Raises: InvariantBroken as `open`."""
        return _open(self._master(sealed), sealed[_KEY_ID_BYTES:], f"row|{row_id}")

    def reseal_in_passing(self, row_id: str, sealed: bytes) -> bytes:
        """Return the content of such a row sealed under the newest master key. Raises: InvariantBroken as `open`."""
        return self.seal_in_passing(row_id, self.open_in_passing(row_id, sealed))

    def search_hash(self, text: str) -> bytes:
        """Return by what the text is found: the same for the same text, and a riddle without the master key."""
        return hmac.digest(self._search_key, text.encode(), hashlib.sha256)

    def _wrap(self, key: bytes, person_id: str) -> bytes:
        return self._newest_id + _seal(self._wrapping[self._newest_id], key, f"key|{person_id}")

    def _unwrap(self, wrapped: bytes, person_id: str) -> bytes:
        return _open(self._master(wrapped), wrapped[_KEY_ID_BYTES:], f"key|{person_id}")

    def _master(self, wrapped: bytes) -> AESGCM:
        key_id = wrapped[:_KEY_ID_BYTES]
        if key_id not in self._wrapping and self._load_again is not None:
            self._take(self._load_again())
        check(key_id in self._wrapping, "the master keys hold every key that sealed", key_id=key_id.hex())
        return self._wrapping[key_id]

    def _take(self, master_keys: Sequence[bytes]) -> None:
        self._wrapping = {_key_id(key): AESGCM(_derive(key, b"wrap")) for key in master_keys}
        self._newest_id = _key_id(master_keys[0])


def sealer_of(connection: AsyncConnection) -> Sealer:
    """Return what seals for this connection's service; its engine was made with it."""
    options = cast("Connection", connection.sync_connection).get_execution_options()
    return cast("Sealer", options["sealer"])


def _seal(cipher: AESGCM, content: bytes, meaning: str) -> bytes:
    # Random nonces: a key seals a handful of fields, far below the 2^32 that would ask for counting them.
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, content, meaning.encode())


def _open(cipher: AESGCM, sealed: bytes, meaning: str) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], meaning.encode())
    except InvalidTag:
        raise InvariantBroken("what was sealed opens unchanged") from None


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=b"tallystick|" + purpose).derive(master)


def _key_id(master: bytes) -> bytes:
    return hashlib.sha256(b"tallystick master key" + master).digest()[:_KEY_ID_BYTES]
