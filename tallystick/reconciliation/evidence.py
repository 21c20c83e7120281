"""What signed notes of the ledger are worth to the reader of a report: read, and verified by keys from outside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from libs.common.proof.checkpoint import Checkpoint, CheckpointMalformed
from libs.common.proof.signed_note import NoteUnverified, Vkey, open_log_note
from services.ledger.audit.signed_state import open_state
from tallystick.stack.ledger_trust import signing_key_file, trusted_vkeys

Signature = Literal["good", "bad", "unchecked"]


class ReadCheckpoint(NamedTuple):
    """What a checkpoint's note says. `root` is hex; without a good signature all of it is a claim."""

    origin: str
    size: int
    root: str
    signature: Signature
    because: str


def keys_of(folder: Path) -> list[Vkey]:
    """Return the keys that the folder trusts; none when it has none, as when a database alone was named."""
    return trusted_vkeys(folder) if signing_key_file(folder).exists() else []


def read_checkpoint(note: str, vkeys: Sequence[Vkey]) -> ReadCheckpoint:
    """Read a checkpoint's note; one that cannot be read is a bad one."""
    signature, because = _judged(note, vkeys)
    try:
        said = Checkpoint.parse(note.rpartition("\n\n")[0] + "\n")
    except CheckpointMalformed as error:
        return ReadCheckpoint("", 0, "", "bad", str(error))
    return ReadCheckpoint(said.origin, said.size, said.root.hex(), signature, because)


def read_state_root(note: str, vkeys: Sequence[Vkey]) -> tuple[str, Signature]:
    """Return the root (hex) of a state that a verification signed; none of a note that no trusted key has signed."""
    state = open_state(note, vkeys)
    if state is None:
        return "", "bad" if vkeys else "unchecked"
    return state.root, "good"


def _judged(note: str, vkeys: Sequence[Vkey]) -> tuple[Signature, str]:
    if not vkeys:
        return "unchecked", "no key was at hand to check it with"
    try:
        open_log_note(note, vkeys)
    except NoteUnverified as error:
        return "bad", error.detail
    return "good", f"by the key of {note.partition(chr(10))[0]}, taken from the folder, not from the database"
