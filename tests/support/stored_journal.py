"""A journal written straight into the ledger's tables, as its writer would: for what only reads it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.proof.canonical_json import canonical
from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.merkle import leaf_hash
from libs.common.proof.signed_note import sign_note, vkey
from libs.common.proof.tree_head import TreeHead
from services.ledger.store.checkpoints import StoredCheckpoint
from tests.support.ledger_builders import NOW, id_of

ORIGIN = "ledger.example/0"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
_TABLES = {"journal": "journal_index >= $1", "blocks": "size > $1", "checkpoints": "size > $1"}


class StoredJournal:
    """One shard's journal. What `append` adds is one block with one checkpoint."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.origin = ORIGIN
        self.key = KEY
        self.tree = TreeHead.empty()
        self.chain = bytes(32)
        self.leaves: list[bytes] = []
        self.note = ""

    @property
    def vkey(self) -> str:
        """The line by which verifiers know who signs now."""
        return vkey(self.origin, self.key.public_key())

    @property
    def newest(self) -> StoredCheckpoint:
        """The newest checkpoint, as the ledger reads it."""
        return StoredCheckpoint(self.tree.size, self.note)

    async def grow(self, size: int, *, story: str = "") -> None:
        """Append records that say nothing, up to this size, as one block."""
        indexes = range(self.tree.size, size)
        await self.append([{"index": index, "kind": "transfer.posted", "story": story} for index in indexes])

    async def append(self, records: Sequence[dict[str, Any] | bytes]) -> None:
        """Append records, dictionaries or canonical text, as one block."""
        before = self.tree.size
        rows: list[tuple[object, ...]] = []
        for index, said in enumerate(records, before):
            record = said if isinstance(said, bytes) else canonical(said)
            leaf = leaf_hash(record)
            self.chain = sha256(self.chain + leaf).digest()
            self.leaves.append(leaf)
            rows.append((0, index, "transfer.posted", id_of(str(index)), record, leaf, self.chain))
        self.tree, tiles = self.tree.extended(self.leaves[before:])
        checkpoint = Checkpoint(self.origin, self.tree.size, self.tree.root)
        self.note = sign_note(checkpoint.text(), self.origin, self.key)
        await self._copy("journal", rows)
        await self._copy("tree_tiles", [(0, tile.level, tile.tile_index, tile.root, tile.hashes) for tile in tiles])
        await self._copy("blocks", [(0, self.tree.size, before, self.tree.root, self.chain, _AT)])
        await self._copy("checkpoints", [(0, self.tree.size, self.note)])
        await self._move_head()

    async def cut(self, size: int) -> None:
        """Remove everything after the block that ends at `size`, as somebody with all rights would."""
        async with self.connection.transaction():
            await self.connection.execute("SET LOCAL session_replication_role = replica")
            for table, after in _TABLES.items():
                await self.connection.execute(f"DELETE FROM ledger.{table} WHERE {after}", size)
            await self.connection.execute(
                "DELETE FROM ledger.tree_tiles WHERE (tile_index + 1) * 256 ^ (level + 1) > $1::numeric", size
            )
        chain = await self.connection.fetchval(
            "SELECT chain_hash FROM ledger.journal WHERE journal_index = $1 - 1", size
        )
        self.chain = chain or bytes(32)
        self.leaves = self.leaves[:size]
        self.tree, _ = TreeHead.empty().extended(self.leaves)
        self.note = await self.connection.fetchval("SELECT note FROM ledger.checkpoints WHERE size = $1", size) or ""
        await self._move_head()

    async def _move_head(self) -> None:
        await self.connection.execute(
            "UPDATE ledger.heads SET size = $1, chain_hash = $2, published_size = $1", self.tree.size, self.chain
        )

    async def _copy(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        await self.connection.copy_records_to_table(table, schema_name="ledger", records=rows)


def transfer_record(index: int, kind: str, legs: Sequence[tuple[str, str, int]], **fields: object) -> dict[str, Any]:
    """Return a transfer's record between named accounts, with only the fields that every one has and these."""
    common = dict.fromkeys(("code", "decision_id", "memo_commitment", "verdict"), "")
    return {
        **common,
        "actor_id": id_of("actor"),
        "index": index,
        "kind": f"transfer.{kind}",
        "legs": [
            {
                "amount_minor": amount_minor,
                "asset": "USD",
                "destination_account_id": id_of(destination),
                "source_account_id": id_of(source),
            }
            for source, destination, amount_minor in legs
        ],
        "reasons": [],
        "requested_at": NOW,
        "ruleset": 1,
        "shard": 0,
        "time": NOW,
        "transfer_id": id_of("t"),
        "transfer_kind": "transfer",
        "version": 1,
        **fields,
    }
