"""Compare the journal with the newest checkpoint seen outside the database.

A database alone cannot know that its end was cut off or that an old backup was restored: all that is left of it still
verifies. What it signed before, kept elsewhere, is a floor: the journal must be at least as long and have the same root
at that size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

import asyncpg

from libs.common.errors import InvariantBroken
from libs.common.proof.checkpoint import Checkpoint, CheckpointMalformed
from libs.common.proof.departure import Departure, DepartureMalformed
from libs.common.proof.signed_note import NoteUnverified, Vkey, open_log_note
from libs.common.proof.tree_head import load_tree_head
from services.ledger.store.checkpoints import load_journal_size
from services.ledger.store.origins import load_departures
from services.ledger.store.tiles import StoredTiles
from services.ledger.store.witness import read_witness, witness_file

_RESTORE: Final = (
    "Stop the writer and keep this database as evidence. Restore a backup or a replica that is not shorter. Only if "
    "there is none: `tallystick new-origin`."
)
_FORGED: Final = (
    "Check that the keys you trust are the ledger's, retired ones included. If they are, somebody changed the file: "
    "find out who, and put back the checkpoint that others hold."
)


@dataclass(frozen=True)
class WitnessTrouble:
    """Why the journal is not what its witness saw. Hashes are hex; `floor` is there unless it cannot be believed."""

    kind: Literal["tail_cut", "record_altered", "checkpoint_forged"]
    detail: str
    what_to_do: str
    floor: Checkpoint | None = None
    stored: str = ""
    computed: str = ""


class Examination(NamedTuple):
    """`floor` is what binds the journal, None when nothing does; `departures` those that a trusted key has signed."""

    floor: Checkpoint | None
    departures: list[Departure]
    trouble: WitnessTrouble | None


async def compare_with_witness(
    connection: asyncpg.Connection, directory: Path, vkeys: Sequence[Vkey], shard: int
) -> WitnessTrouble | None:
    """Return what is wrong with the journal in the eyes of its witness, or None.

    Not inside a snapshot that began earlier: the witness may have seen more since. Raises: WitnessUnreadable.
    """
    return (await examine_witness(connection, directory, vkeys, shard)).trouble


async def examine_witness(
    connection: asyncpg.Connection, directory: Path | None, vkeys: Sequence[Vkey], shard: int
) -> Examination:
    """Return what the witness says, and how the journal stands to it. Raises: WitnessUnreadable."""
    # The note is read first: what is in the journal later is no shorter.
    note = None if directory is None else read_witness(directory, shard)
    departures = await _read_departures(connection, vkeys, shard)
    if directory is None or note is None:
        return Examination(None, departures, None)
    try:
        floor = Checkpoint.parse(open_log_note(note, vkeys))
    except (NoteUnverified, CheckpointMalformed) as failure:
        detail = f"{witness_file(directory, shard)} proves nothing: {failure}"
        return Examination(None, departures, WitnessTrouble("checkpoint_forged", detail, _FORGED))
    if is_departed(floor, departures):
        return Examination(None, departures, None)
    size = await load_journal_size(connection, shard)
    root = None if size < floor.size else await _root_at(connection, shard, floor.size)
    return Examination(floor, departures, judge(floor, size=size, root=root))


def is_departed(floor: Checkpoint, departures: Sequence[Departure]) -> bool:
    """Tell whether the ledger has left the history of this checkpoint behind, by its own signed word."""
    return any(left.floor.origin == floor.origin and floor.size <= left.floor.size for left in departures)


def judge(floor: Checkpoint, *, size: int, root: bytes | None) -> WitnessTrouble | None:
    """Compare a journal's size, and its root at the floor's size (None: hashes are missing), with the floor."""
    if size < floor.size:
        detail = f"the journal has {size} records, and {floor.size} were signed as {floor.origin}"
        return WitnessTrouble("tail_cut", detail, _RESTORE, floor, stored=str(size), computed=str(floor.size))
    if root != floor.root:
        detail = f"the first {floor.size} records are not those that were signed as {floor.origin}"
        stored = root.hex() if root else "missing"
        return WitnessTrouble("record_altered", detail, _RESTORE, floor, stored=stored, computed=floor.root.hex())
    return None


async def _root_at(connection: asyncpg.Connection, shard: int, size: int) -> bytes | None:
    """Return the root the tree had at an earlier size, None when hashes are missing."""
    try:
        return (await load_tree_head(size, StoredTiles(connection, shard))).root
    except InvariantBroken:
        return None


async def _read_departures(connection: asyncpg.Connection, vkeys: Sequence[Vkey], shard: int) -> list[Departure]:
    """Return those that a trusted key has signed; a row added without the key is as if it were not there."""
    departures = []
    for note in await load_departures(connection, shard):
        try:
            departure = Departure.parse(open_log_note(note, vkeys))
        except (NoteUnverified, DepartureMalformed):
            continue
        if departure.shard == shard:
            departures.append(departure)
    return departures
