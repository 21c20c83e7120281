"""Whether the journal is still what was last seen of it outside the database, and the keeping of what is seen now."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.proof.checkpoint import Checkpoint, CheckpointMalformed
from libs.common.proof.signed_note import NoteUnverified, Vkey, open_log_note
from services.ledger.store.checkpoints import StoredCheckpoint
from services.ledger.store.witness import WitnessUnreadable, write_witness
from services.ledger.use_cases.check_witness import Examination, examine_witness

log = structlog.get_logger()


class WatchWitness:
    """Looks when told. Until it has looked, and whenever something is wrong, nothing may be signed."""

    def __init__(
        self, hot: HotConnection, folder: Path | None, *, vkeys: Sequence[Vkey], origin: str, shard: int
    ) -> None:
        """Nothing has been seen yet. Without a folder nothing is kept outside, and nothing binds."""
        self._hot = hot
        self._folder = folder
        self._vkeys = vkeys
        self._origin = origin
        self._shard = shard
        self._floor: Checkpoint | None = None
        self._finding: str | None = "the newest checkpoint outside the database has not been looked for yet"
        self._disk: str | None = None

    async def look(self) -> None:
        """Compare the journal with what was seen last. Raises: Unavailable while the database cannot be asked."""
        try:
            async with self._hot.autocommit() as connection:
                seen = await examine_witness(connection, self._folder, self._vkeys, self._shard)
        except WitnessUnreadable as failure:
            self._disk = str(failure)
            return
        self._disk = None
        self._floor = seen.floor
        finding = self._judge(seen)
        if finding not in (None, self._finding):
            log.error("witness_differs", detail=finding)
        self._finding = finding

    async def keep(self, newest: StoredCheckpoint) -> None:
        """Write the newest checkpoint to the folder, unless the one there is newer or the journal departs from it.

        Raises: Unavailable.
        """
        if self._folder is None:
            return
        if self._floor is None or newest.size > self._floor.size:
            await self.look()
        if self._finding is not None or self._disk is not None:
            return
        checkpoint = self._own(newest.note)
        if checkpoint is None or (self._floor is not None and checkpoint.size <= self._floor.size):
            return
        try:
            # In a thread: a disk takes milliseconds to confirm, and other work need not wait for it.
            await asyncio.to_thread(write_witness, self._folder, self._shard, newest.note)
        except OSError as failure:
            self._disk = f"{self._folder} cannot be written ({failure.strerror}); checkpoints are not kept outside"
            return
        self._floor = checkpoint

    def allow(self, size: int) -> None:
        """Let a tree of this size be signed. Raises: Unavailable (witness_differs) when that could be a fork."""
        if self._finding is not None:
            raise Unavailable("witness_differs", "The journal is not what was last seen of it.", finding=self._finding)
        floor = self._floor
        if floor is not None and size <= floor.size:
            raise Unavailable("witness_differs", "This size has been signed before.", size=size, floor=floor.size)

    def trouble(self) -> str | None:
        """Say what is wrong and what mends it, for the readiness page."""
        return self._disk or self._finding

    def _own(self, note: str) -> Checkpoint | None:
        """Return the checkpoint if it bears the present origin; one from before a new origin stays where it is."""
        try:
            checkpoint = Checkpoint.parse(open_log_note(note, self._vkeys))
        except (NoteUnverified, CheckpointMalformed):
            return None
        return checkpoint if checkpoint.origin == self._origin else None

    def _judge(self, seen: Examination) -> str | None:
        if seen.trouble is not None:
            return f"{seen.trouble.kind}: {seen.trouble.detail}. Nothing is written. {seen.trouble.what_to_do}"
        for departure in seen.departures:
            if departure.floor.origin == self._origin:
                return (
                    f"LEDGER_ORIGIN is {self._origin}, and the ledger has gone on as {departure.origin}. Nothing is "
                    "written. Set the new origin, and add the old one's vkey to LEDGER_RETIRED_VKEYS_FILE."
                )
        return None
