"""What a good verification leaves behind for the next: a signed note of where the journal and the books stood.

The note's first line is no log's origin, so that it never passes for a checkpoint, nor a checkpoint for it.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from libs.common.proof.signed_note import NoteUnverified, Vkey, open_note

_TITLE: Final = "tallystick.example/verified-state/v1"
_LINES: Final = 6


class SignedState(NamedTuple):
    """The journal of `shard` had this size, root and chain hash, and all balances this digest (hex)."""

    shard: int
    size: int
    root: str
    chain_hash: str
    state_digest: str

    def text(self) -> str:
        """Return the text to sign, a value a line."""
        return "\n".join([_TITLE, *map(str, self), ""])


def open_state(note: str, vkeys: Sequence[Vkey]) -> SignedState | None:
    """Return what the note says; None unless a trusted key has signed it."""
    try:
        lines = open_note(note, vkeys).split("\n")
    except NoteUnverified:
        return None
    if len(lines) != _LINES + 1 or lines[0] != _TITLE:
        return None
    return SignedState(int(lines[1]), int(lines[2]), *lines[3:_LINES])


def newest_state(notes: Iterable[str], vkeys: Sequence[Vkey], shard: int) -> SignedState | None:
    """Return the first of the notes that is this shard's and signed by a trusted key."""
    states = (open_state(note, vkeys) for note in notes)
    return next((state for state in states if state is not None and state.shard == shard), None)
