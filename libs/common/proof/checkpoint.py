"""What the ledger signs about its tree, as the text of a note (C2SP tlog-checkpoint)."""

import re
from dataclasses import dataclass
from typing import Final, Self

from libs.common.proof.canonical_json import INTEGER_LIMIT
from libs.common.proof.merkle import HASH_BYTES
from libs.common.proof.strict_base64 import decode_base64, encode_base64

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_LINES_MIN: Final = 3


class CheckpointMalformed(ValueError):
    """The text is no checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """The log called `origin` had this root when it held `size` leaves."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the text to sign: origin, size and base64 root, a line each."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the checkpoint of an opened note's text.

        Further lines are let through unread: the format allows a log to add them, and older verifiers must
        go on working. Raises: CheckpointMalformed.
        """
        lines = text.split("\n")
        if lines.pop() != "" or len(lines) < _LINES_MIN or "" in lines:
            raise CheckpointMalformed("a checkpoint is at least three lines, none of them empty")
        origin, size, encoded_root = lines[:_LINES_MIN]
        if not _SIZE.fullmatch(size) or int(size) > INTEGER_LIMIT:
            raise CheckpointMalformed("the second line is no tree size")
        return cls(origin, int(size), _parse_root(encoded_root))


def _parse_root(encoded: str) -> bytes:
    try:
        root = decode_base64(encoded)
    except ValueError as error:
        raise CheckpointMalformed("the third line is not base64") from error
    if len(root) != HASH_BYTES:
        raise CheckpointMalformed("the third line is no SHA-256 hash")
    return root
