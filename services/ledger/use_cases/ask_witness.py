"""What the newest checkpoint outside the database says against the journal, as a verification's findings."""

from collections.abc import Sequence
from pathlib import Path

import asyncpg

from libs.common.db.hot import HotConnection
from libs.common.proof.signed_note import Vkey
from services.ledger.audit.findings import Finding
from services.ledger.use_cases.check_witness import compare_with_witness


async def ask_witness(connection: asyncpg.Connection, folder: Path, vkeys: Sequence[Vkey], shard: int) -> list[Finding]:
    """Return what the witness says against the journal: one finding, or none.

    Not inside a verification's snapshot: the witness may have seen more since. Raises: WitnessUnreadable.
    """
    trouble = await compare_with_witness(connection, folder, vkeys, shard)
    if trouble is None:
        return []
    seen = f"size {trouble.floor.size}" if trouble.floor else "unreadable"
    return [
        Finding(
            trouble.kind,
            "checkpoints",
            f"witness of shard {shard}, {seen}",
            trouble.detail,
            trouble.what_to_do,
            stored_hash=trouble.stored,
            computed_hash=trouble.computed,
        )
    ]


class AskWitness:
    """Asks the witness in this folder; without a folder there is none, and it says nothing."""

    def __init__(self, hot: HotConnection, folder: Path | None, vkeys: Sequence[Vkey], shard: int) -> None:
        """Use a connection that the writer does not wait for."""
        self._hot = hot
        self._folder = folder
        self._vkeys = vkeys
        self._shard = shard

    async def __call__(self) -> list[Finding]:
        """Return what it says against the journal as it stands. Raises: WitnessUnreadable; Unavailable."""
        if self._folder is None:
            return []
        async with self._hot.autocommit() as connection:
            return await ask_witness(connection, self._folder, self._vkeys, self._shard)
