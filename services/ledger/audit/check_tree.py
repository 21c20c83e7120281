"""The tree above the records: each block, its checkpoint, and every tile that fills up."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from libs.common.clock import from_rfc3339
from libs.common.proof.checkpoint import Checkpoint, CheckpointMalformed
from libs.common.proof.merkle import HASH_BYTES
from libs.common.proof.signed_note import NoteUnverified, Vkey, open_note
from libs.common.proof.tree_head import TreeHead
from services.ledger.audit.findings import (
    EDITED,
    REWRITTEN,
    UNTRUSTED,
    Difference,
    Finding,
    Verification,
    differences,
)
from services.ledger.store.audit import Audit, JournalPage
from services.ledger.store.journal_record import JournalRecord


class CheckTree:
    """Lets the tree grow from a known head on and compares what the ledger has stored and signed of it."""

    def __init__(self, audit: Audit, vkeys: Sequence[Vkey], shard: int, found: Verification) -> None:
        """Begin with the empty tree."""
        self._audit = audit
        self._vkeys = vkeys
        self._shard = shard
        self._found = found
        self._broken = False
        self.head = TreeHead.empty()

    async def grow(
        self, page: JournalPage, leaves: list[bytes], records: Sequence[JournalRecord], first: int, end: int
    ) -> None:
        """Let the tree grow block by block, comparing each block, its checkpoint and every tile that fills up."""
        whole = len(records) == end - first
        for block in await self._audit.blocks(first, end):
            if block["previous_size"] > self.head.size or (block["previous_size"] < first and self.head.size != first):
                break
            upto = min(block["size"], end)
            await self._extend(leaves[self.head.size - first : upto - first])
            if upto < block["size"]:
                return
            self._found.blocks += 1
            sealed = records[upto - 1 - first].time if whole else None
            self._check_block(block, page.chain[(upto - 1 - first) * HASH_BYTES : (upto - first) * HASH_BYTES], sealed)
        if self.head.size < end:
            self._found.find(
                Finding(
                    "sequence_gap",
                    "blocks",
                    f"{self._shard}/after {self.head.size}",
                    "no block holds this record and those after it",
                    REWRITTEN,
                    self.head.size,
                )
            )
            await self._extend(leaves[self.head.size - first :])

    async def _extend(self, leaves: Sequence[bytes]) -> None:
        self.head, full_tiles = self.head.extended(leaves)
        for level in {tile.level for tile in full_tiles}:
            made = {tile.tile_index: (tile.hashes, tile.root) for tile in full_tiles if tile.level == level}
            self._found.tiles += len(made)
            stored = await self._audit.stored_tiles(level, list(made))
            if stored != made:
                self._find_tiles(level, stored, made)

    def _find_tiles(
        self, level: int, stored: dict[int, tuple[bytes, bytes]], made: dict[int, tuple[bytes, bytes]]
    ) -> None:
        for tile_index, want in made.items():
            have = stored.get(tile_index)
            row = f"{self._shard}/{level}/{tile_index}"
            if have is None:
                self._found.find(Finding("missing_record", "tree_tiles", row, "the tile is not there", REWRITTEN))
            elif have != want:
                self._found.find(
                    Finding(
                        "chain_broken",
                        "tree_tiles",
                        row,
                        "the tile is not what the records make it",
                        REWRITTEN,
                        stored_hash=have[1].hex(),
                        computed_hash=want[1].hex(),
                        differences=differences(
                            {"hashes": sha256(have[0]).hexdigest(), "root": have[1].hex()},
                            {"hashes": sha256(want[0]).hexdigest(), "root": want[1].hex()},
                        ),
                    )
                )

    def _check_block(self, block: Any, chain_hash: bytes, sealed: str | None) -> None:
        size = self.head.size
        row = f"{self._shard}/{size}"
        computed = {"chain_hash": chain_hash.hex()}
        stored = {"chain_hash": block["chain_hash"].hex()}
        if not self._broken:
            computed["root"], stored["root"] = self.head.root.hex(), block["root"].hex()
            self._broken = computed["root"] != stored["root"]  # every later root differs too and says nothing new
        if computed != stored:
            self._found.find(
                Finding(
                    "chain_broken",
                    "blocks",
                    row,
                    "the block is not what its records make it",
                    REWRITTEN,
                    size - 1,
                    stored_hash=block["root"].hex(),
                    computed_hash=self.head.root.hex(),
                    differences=differences(stored, computed),
                )
            )
        if sealed is not None and block["sealed_at"] != from_rfc3339(sealed).timestamp():
            self._found.find(
                Finding(
                    "record_altered",
                    "blocks",
                    row,
                    "the block was not sealed at its last record's time",
                    EDITED,
                    size - 1,
                    differences=(Difference("sealed_at", str(block["sealed_at"]), sealed),),
                )
            )
        self._check_checkpoint(size, block["note"])

    def _check_checkpoint(self, size: int, note: str | None) -> None:
        """Check a checkpoint's signature and that it is over this tree."""
        row = f"{self._shard}/{size}"
        if note is None:
            self._found.find(
                Finding("missing_record", "checkpoints", row, "the block was never signed", REWRITTEN, size - 1)
            )
            return
        try:
            checkpoint = Checkpoint.parse(open_note(note, self._vkeys))
        except (NoteUnverified, CheckpointMalformed) as failure:
            self._found.find(
                Finding(
                    "checkpoint_forged",
                    "checkpoints",
                    row,
                    str(failure),
                    UNTRUSTED,
                    size - 1,
                    differences=(Difference("note", note, "a note that a trusted key has signed"),),
                )
            )
            return
        differing = differences(
            {"size": checkpoint.size, "root": checkpoint.root.hex()},
            {"size": size, "root": checkpoint.root.hex() if self._broken else self.head.root.hex()},
        )
        if differing:
            self._found.find(
                Finding(
                    "checkpoint_forged",
                    "checkpoints",
                    row,
                    "the signed tree is not the one the records make",
                    REWRITTEN,
                    size - 1,
                    stored_hash=checkpoint.root.hex(),
                    computed_hash=self.head.root.hex(),
                    differences=differing,
                )
            )
