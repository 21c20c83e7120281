"""Where master keys come from: the port, and its local form, a file."""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from libs.common.errors import InvariantBroken
from libs.common.invariants import check

KEY_BYTES: Final = 32


class MasterKeys(Protocol):
    """Keeps master keys. A key management service decrypts them at start, and when one is met that was not known."""

    def load(self) -> Sequence[bytes]:
        """Return the keys, 32 bytes each: the one to seal with first, then those that sealed before it.

        The last one, the oldest, also keys the search hashes, so it stays for good.
        """


class MasterKeyFile:
    """One base64 key a line, newest first. Whoever reads this file and the database reads all personal data."""

    def __init__(self, path: Path) -> None:
        """Remember where it lies."""
        self._path: Final = path

    def load(self) -> Sequence[bytes]:
        """Return the keys. Raises: OSError; InvariantBroken for what are no keys."""
        try:
            keys = [base64.b64decode(line, validate=True) for line in self._path.read_bytes().split()]
        except binascii.Error as failure:
            raise InvariantBroken("a master key is base64", file=str(self._path)) from failure
        sound = bool(keys) and all(len(key) == KEY_BYTES for key in keys) and len(set(keys)) == len(keys)
        check(sound, "master keys are 32 bytes each, and different ones", file=str(self._path))
        return keys
