"""Recompute everything the ledger has promised, from the database alone and the keys the caller trusts.

Every record's canonical text, leaf and chain hash; every full tile; the tree's root at every block; the newest
checkpoint's signature; every transfer's row; every entry and balance, replayed from the records. What differs is named
by index and field, so that nobody has to guess what was changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from libs.common.clock import to_rfc3339
from libs.common.proof.checkpoint import Checkpoint, CheckpointMalformed
from libs.common.proof.merkle import leaf_hash
from libs.common.proof.signed_note import NoteUnverified, Vkey, open_note
from libs.common.proof.tree_head import TreeHead
from services.ledger.store.audit import Audit, open_audit
from services.ledger.store.journal_record import JournalRecord, TransferRecord, decode_record, encode_record
from services.ledger.use_cases.replay_journal import Expected, ReplayJournal

FINDINGS_MAX: Final = 50
"""More would bury the first, which is the one to look at."""
CHAIN_START: Final = bytes(32)

_EDITED: Final = (
    "The record or its hash was changed after it was written. Stop the writer, keep this database as evidence, restore "
    "from a backup that verifies, and compare with the receipts and checkpoints that others hold."
)
_REWRITTEN: Final = (
    "Records were removed, added or rewritten together with their hashes. Stop the writer, keep this database as "
    "evidence, restore a backup and check its consistency with a checkpoint that others hold."
)
_BALANCES: Final = (
    "The journal proves what happened; this table says otherwise. Stop the writer and restore the rows named here from "
    "the records."
)
_UNTRUSTED: Final = (
    "Check that the key you trust is the ledger's; if it is, the checkpoint is forged: do not rely on it."
)


@dataclass(frozen=True)
class Finding:
    """One broken promise. `index` is the journal index it was seen at; hashes are hex; `fields` differ."""

    check: str
    index: int | None
    detail: str
    what_to_do: str
    stored: str = ""
    computed: str = ""
    fields: tuple[str, ...] = ()


@dataclass
class Verification:
    """What was checked and what was found. `root` and `size` are those of the journal as it stands."""

    records: int = 0
    blocks: int = 0
    tiles: int = 0
    seconds: float = 0.0
    size: int = 0
    root: str = ""
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def records_per_second(self) -> int:
        """How fast the check went."""
        return round(self.records / self.seconds) if self.seconds else 0


async def verify_ledger(
    dsn: str, vkeys: Sequence[Vkey], *, shard: int = 0, monotonic_seconds: Callable[[], float]
) -> Verification:
    """Verify one shard over one snapshot, while the ledger goes on writing."""
    began = monotonic_seconds()
    async with open_audit(dsn, shard) as audit:
        verification = await _Verifier(audit, vkeys, shard).run()
    verification.seconds = monotonic_seconds() - began
    return verification


class _Verifier:
    def __init__(self, audit: Audit, vkeys: Sequence[Vkey], shard: int) -> None:
        self._audit = audit
        self._vkeys = vkeys
        self._shard = shard
        self._tree = TreeHead.empty()
        self._chain = CHAIN_START
        self._last_time = ""
        self._first_states = 0
        self._replay = ReplayJournal()
        self._tree_broken = False
        self.result = Verification()

    async def run(self) -> Verification:
        async for page in self._audit.journal():
            records = self._check_records(page)
            if len(page) != self.result.records - page[0][0]:
                return self.result  # with records missing, every later check would only echo that
            await self._grow_tree(page)
            await self._check_transfers(records)
            await self._check_entries(records)
            if len(self.result.findings) >= FINDINGS_MAX:
                return self.result
        await self._check_end()
        return self.result

    def _find(self, check: str, index: int | None, detail: str, what_to_do: str, **more: Any) -> None:
        self.result.findings.append(Finding(check, index, detail, what_to_do, **more))

    def _check_records(self, page: Sequence[Any]) -> list[TransferRecord]:
        """Check each record by itself and its link to the one before. Returns those that can be read."""
        records = []
        for index, kind, transfer_id, text, leaf, chain in page:
            place = self.result.records
            if index != place:
                self._find("journal_gap", index, f"index {place} is missing before {index}", _REWRITTEN)
            self.result.records = index + 1
            computed_leaf, computed_chain = leaf_hash(text), sha256(self._chain + leaf).digest()
            if computed_leaf != leaf:
                self._find(
                    "leaf_hash", index, "the record is not what its hash was made of", _EDITED,
                    stored=leaf.hex(), computed=computed_leaf.hex(),
                )  # fmt: skip
            if computed_chain != chain:
                self._find(
                    "chain_hash", index, "the record is not linked to the one before", _REWRITTEN,
                    stored=chain.hex(), computed=computed_chain.hex(),
                )  # fmt: skip
            self._chain = chain
            record = self._read(index, kind, text)
            if record is not None:
                self._check_columns(index, record, kind, transfer_id)
                if isinstance(record, TransferRecord):
                    records.append(record)
        return records

    def _read(self, index: int, kind: str, text: bytes) -> JournalRecord | None:
        try:
            record = decode_record(text, kind)
        except msgspec.MsgspecError as failure:
            self._find("record_unreadable", index, str(failure), _EDITED)
            return None
        if encode_record(record) != text:
            self._find("record_not_canonical", index, "it is spelled in another way than the ledger spells", _EDITED)
        if record.time < self._last_time:
            self._find("time_goes_back", index, f"{record.time} after {self._last_time}", _EDITED)
        self._last_time = record.time
        return record

    def _check_columns(self, index: int, record: JournalRecord, kind: str, transfer_id: str) -> None:
        stored = {"index": index, "kind": kind, "transfer_id": transfer_id, "shard": self._shard}
        said = {name: getattr(record, name, None) for name in stored}
        if stored != said:
            self._find(
                "record_columns", index, "the row's columns are not the record's fields", _EDITED,
                stored=str(stored), computed=str(said), fields=_differing(stored, said),
            )  # fmt: skip

    async def _grow_tree(self, page: Sequence[Any]) -> None:
        """Let the tree grow block by block, comparing each block's root and every tile that fills up."""
        first, end = page[0][0], page[-1][0] + 1
        leaves = [row[4] for row in page]
        for size, previous_size, root, chain in await self._audit.blocks(first, end):
            upto = min(size, end)
            self._tree, full_tiles = self._tree.extended(leaves[self._tree.size - first : upto - first])
            await self._check_tiles(full_tiles)
            if upto < size:
                return
            self.result.blocks += 1
            if self._tree.root != root and not self._tree_broken:
                self._tree_broken = True  # every later root differs as well and says nothing new
                self._find(
                    "block_root", size - 1, f"the tree of {size} records ({previous_size} before) has another root",
                    _REWRITTEN, stored=root.hex(), computed=self._tree.root.hex(),
                )  # fmt: skip
            linked = page[size - 1 - first][5]
            if linked != chain:
                self._find(
                    "block_chain", size - 1, "the block ends with another link than the record", _REWRITTEN,
                    stored=chain.hex(), computed=linked.hex(),
                )  # fmt: skip
        if self._tree.size < end:
            self._find("block_missing", self._tree.size, "no block holds this record and those after it", _REWRITTEN)
            self._tree, _ = self._tree.extended(leaves[self._tree.size - first :])

    async def _check_tiles(self, full_tiles: Sequence[Any]) -> None:
        for level, tile_index, hashes, root in full_tiles:
            self.result.tiles += 1
            stored = await self._audit.tile(level, tile_index)
            if stored != (hashes, root):
                self._find(
                    "tile", None, f"tile {tile_index} of level {level} is not what the records make it", _REWRITTEN,
                    stored=stored[1].hex() if stored else "", computed=root.hex(),
                )  # fmt: skip

    async def _check_transfers(self, records: Sequence[TransferRecord]) -> None:
        rows = await self._audit.transfers([record.transfer_id for record in records])
        for record in records:
            self._first_states += record.version == 1
            row = rows.get(record.transfer_id)
            if row is None:
                self._find("transfer_missing", record.index, f"{record.transfer_id} has no row", _BALANCES)
            elif row["journal_index"] == record.index:
                self._compare_transfer(record, row)
            elif row["journal_index"] < record.index or row["version"] <= record.version:
                self._find(
                    "transfer_behind", record.index, f"{record.transfer_id} does not have its newest state", _BALANCES,
                    stored=str(row["version"]), computed=str(record.version), fields=("version", "journal_index"),
                )  # fmt: skip

    def _compare_transfer(self, record: TransferRecord, row: Any) -> None:
        said = {
            "kind": record.transfer_kind,
            "status": record.status,
            "version": record.version,
            "code": record.code,
            "reasons": list(record.reasons),
            "changed_at": record.time,
        }
        stored = {name: row[name] for name in said} | {"changed_at": to_rfc3339(row["changed_at"])}
        if stored != said:
            fields = _differing(stored, said)
            self._find(
                "transfer_differs", record.index, f"the row of {record.transfer_id} is not what its record says",
                _BALANCES, fields=fields, stored=_only(stored, fields), computed=_only(said, fields),
            )  # fmt: skip

    async def _check_entries(self, records: Sequence[TransferRecord]) -> None:
        expected = [entry for record in records for entry in self._replay.follow(record)]
        stored = await self._audit.entries([entry.account_id for entry in expected], [entry.seq for entry in expected])
        for entry in expected:
            row = stored.get((entry.account_id, entry.seq))
            if row is None:
                self._find(
                    "entry_missing", entry.journal_index, f"account {entry.account_id}, seq {entry.seq}", _BALANCES
                )
            elif _values(row) != (entry.transfer_id, entry.amount_minor, entry.balance_after_minor, entry.posted_at):
                self._compare_entry(entry, row)

    def _compare_entry(self, entry: Expected, row: Any) -> None:
        names = ("transfer_id", "amount_minor", "balance_after_minor", "posted_at")
        stored = dict(zip(names, _values(row), strict=True))
        said = {name: getattr(entry, name) for name in names}
        fields = _differing(stored, said)
        self._find(
            "entry_differs",
            entry.journal_index,
            f"account {entry.account_id}, seq {entry.seq}, is not what the record moved",
            _BALANCES, fields=fields, stored=_only(stored, fields), computed=_only(said, fields),
        )  # fmt: skip

    async def _check_end(self) -> None:
        self.result.size, self.result.root = self._tree.size, self._tree.root.hex()
        await self._check_head()
        await self._check_checkpoint()
        await self._check_accounts()
        transfers, entries, checkpoints, blocks = await self._audit.counts()
        for name, stored, said in (
            ("transfers", transfers, self._first_states),
            ("entries", entries, self._replay.entries),
            ("blocks", blocks, self.result.blocks),
            ("checkpoints", checkpoints, self.result.blocks),
        ):
            if stored != said:
                self._find(
                    f"{name}_count", None, f"the records make {said} {name}, the table has {stored}", _BALANCES,
                    stored=str(stored), computed=str(said),
                )  # fmt: skip

    async def _check_head(self) -> None:
        head = await self._audit.head()
        stored = None if head is None else (head[0], head[1])
        if stored != (self._tree.size, self._chain):
            self._find(
                "head", self._tree.size - 1, "the shard's head is not where the journal ends", _REWRITTEN,
                stored=f"{stored[0]} {stored[1].hex()}" if stored else "none",
                computed=f"{self._tree.size} {self._chain.hex()}", fields=("size", "chain_hash"),
            )  # fmt: skip

    async def _check_checkpoint(self) -> None:
        newest = await self._audit.newest_checkpoint()
        if newest is None:
            if self._tree.size:
                self._find("checkpoint_missing", self._tree.size - 1, "the journal was never signed", _REWRITTEN)
            return
        try:
            checkpoint = Checkpoint.parse(open_note(newest.note, self._vkeys))
        except (NoteUnverified, CheckpointMalformed) as failure:
            self._find("checkpoint_signature", newest.size - 1, str(failure), _UNTRUSTED)
            return
        if (checkpoint.size, checkpoint.root) != (self._tree.size, self._tree.root):
            self._find(
                "checkpoint_differs", newest.size - 1, "the signed tree is not the one the records make", _REWRITTEN,
                stored=f"{checkpoint.size} {checkpoint.root.hex()}",
                computed=f"{self._tree.size} {self._tree.root.hex()}", fields=("size", "root"),
            )  # fmt: skip

    async def _check_accounts(self) -> None:
        seen = set()
        async for page in self._audit.accounts():
            for account_id, *stored in page:
                seen.add(account_id)
                said = self._replay.balances_of(account_id)
                if tuple(stored) != said:
                    names = ("posted_minor", "pending_in_minor", "pending_out_minor", "last_seq")
                    have, want = dict(zip(names, stored, strict=True)), dict(zip(names, said, strict=True))
                    fields = _differing(have, want)
                    self._find(
                        "balance_differs", None, f"account {account_id} does not hold what its records sum up to",
                        _BALANCES, fields=fields, stored=_only(have, fields), computed=_only(want, fields),
                    )  # fmt: skip
        for account_id in self._replay.account_ids() - seen:
            self._find("account_missing", None, f"account {account_id} has records and no row", _BALANCES)


def _values(row: Any) -> tuple[str, int, int, str]:
    posted_at: datetime = row["posted_at"]
    return row["transfer_id"], row["amount_minor"], row["balance_after_minor"], to_rfc3339(posted_at)


def _differing(stored: dict[str, Any], said: dict[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in said if stored[name] != said[name])


def _only(values: dict[str, Any], fields: Sequence[str]) -> str:
    return ", ".join(f"{name}={values[name]}" for name in fields)
