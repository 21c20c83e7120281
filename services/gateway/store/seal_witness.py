"""The newest seal of the audit log in a file outside the database, where no restored backup can reach it."""

import os
from pathlib import Path

from libs.common.proof.checkpoint import Checkpoint
from services.gateway.store.audit_seals import StoredSeal


class SealWitness:
    """Keeps one signed note. Without a file it keeps nothing, and a log whose end was cut off goes unnoticed."""

    def __init__(self, file: Path | None) -> None:
        """Use this file; its folder must exist."""
        self._file = file
        self._size = 0
        note = self.note()
        if note:
            self._size = Checkpoint.parse(note.partition("\n\n")[0] + "\n").size

    def size(self) -> int:
        """Return how many leaves the newest seal that was kept is over."""
        return self._size

    def note(self) -> str:
        """Return the note; empty while there is none."""
        return self._file.read_text() if self._file is not None and self._file.exists() else ""

    def keep(self, seal: StoredSeal) -> None:
        """Replace the note in one step that survives a power cut; readers see the old or the new one."""
        if self._file is None:
            return
        unfinished = self._file.with_name(f".{self._file.name}.unfinished")
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(seal.note)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._file)
        self._size = seal.size
