"""Each record by itself and its link to the one before: hashes compared a page at a time; above them the tree grows.

Only when a page differs is it looked at record by record; a page that is as it was written costs three hashes a record
and a handful of comparisons.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from operator import attrgetter, le
from typing import Final

import msgspec

from libs.common.clock import from_rfc3339, to_rfc3339
from libs.common.proof.merkle import HASH_BYTES
from libs.common.proof.signed_note import Vkey
from libs.common.proof.tiles import split_tile
from libs.common.proof.tree_head import TreeHead
from services.ledger.audit.check_inclusion import check_inclusion, signed_tree
from services.ledger.audit.check_tree import CheckTree
from services.ledger.audit.findings import (
    EDITED,
    REWRITTEN,
    CannotVerify,
    Difference,
    Finding,
    Verification,
    altered_record,
    differences,
)
from services.ledger.store.audit import Audit, JournalPage
from services.ledger.store.journal_record import (
    STATUS_OF_KIND,
    TRANSFER_KIND,
    JournalRecord,
    TransferRecord,
    decode_record,
    decode_transfer_record,
    encode_record,
)

CHAIN_START: Final = bytes(HASH_BYTES)
_LEAF: Final = b"\x00"
_time_of = attrgetter("time")


class _Kind(msgspec.Struct):
    kind: str = ""


@dataclass(slots=True)
class CheckedPage:
    """Records that can be read, in their order; `altered` are findings about those that are not what was hashed."""

    first: int
    end: int
    records: list[JournalRecord]
    altered: dict[int, Finding] = field(default_factory=dict)
    is_whole: bool = True


class CheckProof:
    """Follows chain and tree from a known state on, which is the empty journal unless another is given."""

    def __init__(self, audit: Audit, vkeys: Sequence[Vkey], shard: int, found: Verification) -> None:
        """Begin with an empty journal."""
        self._audit = audit
        self._vkeys = vkeys
        self._shard = shard
        self._found = found
        self._time = ""
        self._strange: list[tuple[int, str]] = []
        self._tree = CheckTree(audit, vkeys, shard, found)
        self.chain_hash = CHAIN_START

    def start_from(self, tree: TreeHead, chain_hash: bytes, time: str) -> None:
        """Begin after records that were verified before."""
        self._tree.head, self.chain_hash, self._time = tree, chain_hash, time

    @property
    def tree(self) -> TreeHead:
        """The tree over the records so far."""
        return self._tree.head

    @property
    def time(self) -> str:
        """The last record's time."""
        return self._time

    async def check(self, page: JournalPage, first: int, end: int) -> CheckedPage:
        """Check the records `first` to `end`. A page that misses some is looked at no further."""
        if page.indexes != list(range(first, end)):
            self._find_gap(page.indexes, first, end)
            return CheckedPage(first, end, [], is_whole=False)
        widths: list[tuple[int, Difference]] = []
        if not len(page.leaves) == len(page.chain) == HASH_BYTES * len(page.indexes):
            page, widths = await self._with_whole_hashes(page)
        altered = self._check_leaves(page)
        for index, difference in widths:
            self._alter(altered, index, "its hash is none", difference)
        leaves = self._check_chain(page)
        records = self._read(page, altered)
        self._found.records += len(records)
        for index, kind in self._strange:
            await self._judge_strange(index, kind)
        await self._tree.grow(page, leaves, records, first, end)
        for finding in altered.values():
            self._found.find(finding)
        return CheckedPage(first, end, records, altered, is_whole=len(records) == end - first)

    def _find_gap(self, indexes: Sequence[int], first: int, end: int) -> None:
        present = set(indexes)
        missing = next((index for index in range(first, end) if index not in present), end)
        self._found.find(
            Finding(
                "missing_record", "journal", f"{self._shard}/{missing}", "the record is not there", REWRITTEN, missing
            )
        )

    async def _with_whole_hashes(self, page: JournalPage) -> tuple[JournalPage, list[tuple[int, Difference]]]:
        """Return the page with hashes of the right width, and which were not."""
        rows = await self._audit.records(page.indexes)
        hashes = {name: [row[name] or b"" for row in rows] for name in ("leaf_hash", "chain_hash")}
        wrong = [
            (index, Difference(name, value.hex(), f"{HASH_BYTES} bytes"))
            for name, values in hashes.items()
            for index, value in zip(page.indexes, values, strict=True)
            if len(value) != HASH_BYTES
        ]
        leaves, chain = (
            b"".join(value[:HASH_BYTES].ljust(HASH_BYTES, b"\0") for value in values) for values in hashes.values()
        )
        return page._replace(leaves=leaves, chain=chain), wrong

    def _check_leaves(self, page: JournalPage) -> dict[int, Finding]:
        computed = [sha256(_LEAF + text).digest() for text in page.texts]
        if b"".join(computed) == page.leaves:
            return {}
        stored = split_tile(page.leaves)
        return {
            index: altered_record(self._shard, index, leaf, made)
            for index, leaf, made in zip(page.indexes, stored, computed, strict=True)
            if leaf != made
        }

    def _check_chain(self, page: JournalPage) -> list[bytes]:
        leaves = split_tile(page.leaves)
        link, links = self.chain_hash, []
        for leaf in leaves:
            link = sha256(link + leaf).digest()
            links.append(link)
        stored = page.chain
        if b"".join(links) != stored:
            previous = self.chain_hash
            for index, leaf, kept in zip(page.indexes, leaves, split_tile(stored), strict=True):
                made = sha256(previous + leaf).digest()
                if made != kept:
                    self._found.find(
                        Finding(
                            "chain_broken",
                            "journal",
                            f"{self._shard}/{index}",
                            "the record is not linked to the one before",
                            REWRITTEN,
                            index,
                            stored_hash=kept.hex(),
                            computed_hash=made.hex(),
                            differences=(Difference("chain_hash", kept.hex(), made.hex()),),
                        )
                    )
                previous = kept
        self.chain_hash = stored[-HASH_BYTES:]
        return leaves

    def _read(self, page: JournalPage, altered: dict[int, Finding]) -> list[JournalRecord]:
        records = self._decode(page, altered)
        if len(records) == len(page.texts):
            if list(map(encode_record, records)) != page.texts:
                self._find_spelling(page, records, altered)
            self._check_columns(page, records, altered)
            records = self._sensible(page.indexes, records, altered)
        self._check_times(records)
        return records

    async def _judge_strange(self, index: int, kind: str) -> None:
        """Tell a later version's record from one that was made unreadable: the former was signed."""
        signed = Verification()
        checkpoint = await signed_tree(self._audit, self._vkeys, self._shard, signed)
        if checkpoint is not None:
            await check_inclusion(self._audit, checkpoint, self._shard, index, signed)
        if signed.is_good:
            raise CannotVerify(f"record {index} is of kind {kind}, unknown to this version: verify with a newer one")

    def _sensible(
        self, indexes: Sequence[int], records: list[JournalRecord], altered: dict[int, Finding]
    ) -> list[JournalRecord]:
        """Leave out records whose time is none or whose kind nobody knows: nothing can be made of them."""
        no_time = {time for time in set(map(_time_of, records)) if not _is_time(time)}
        no_kind = {record.kind for record in records if isinstance(record, TransferRecord)} - STATUS_OF_KIND.keys()
        if not no_time and not no_kind:
            return records
        sensible = []
        for index, record in zip(indexes, records, strict=True):
            if record.time in no_time:
                self._alter(altered, index, "it has no time", Difference("time", record.time, "a moment"))
            elif record.kind in no_kind:
                self._alter(altered, index, "nothing is called so", Difference("kind", record.kind, "a kind"))
            else:
                sensible.append(record)
        return sensible

    def _decode(self, page: JournalPage, altered: dict[int, Finding]) -> list[JournalRecord]:
        try:
            if all(kind.startswith(TRANSFER_KIND) for kind in page.kinds):
                return list(map(decode_transfer_record, page.texts))
            return list(map(decode_record, page.texts, page.kinds))
        except msgspec.MsgspecError:
            records = []
            for index, kind, text in zip(page.indexes, page.kinds, page.texts, strict=True):
                try:
                    records.append(decode_record(text, kind))
                except msgspec.MsgspecError as failure:
                    if index not in altered and _kind_in(text) == kind:
                        self._strange.append((index, kind))
                    self._alter(altered, index, str(failure), Difference("record", "unreadable", f"a record of {kind}"))
            return records

    def _find_spelling(self, page: JournalPage, records: Sequence[JournalRecord], altered: dict[int, Finding]) -> None:
        for index, text, record in zip(page.indexes, page.texts, records, strict=True):
            if encode_record(record) != text:
                self._alter(
                    altered,
                    index,
                    "it is spelled in another way than the ledger spells",
                    Difference("record", text.decode(errors="replace"), encode_record(record).decode()),
                )

    def _check_columns(self, page: JournalPage, records: Sequence[JournalRecord], altered: dict[int, Finding]) -> None:
        transfers = [record for record in records if isinstance(record, TransferRecord)]
        if len(transfers) == len(records) and (
            [record.index for record in transfers] == page.indexes
            and [record.transfer_id for record in transfers] == page.transfer_ids
            and [record.kind for record in transfers] == page.kinds
            and {record.shard for record in transfers} == {self._shard}
        ):
            return
        shard = self._shard
        said = [(r.index, r.shard, r.kind, r.transfer_id if isinstance(r, TransferRecord) else "") for r in records]
        stored = [
            (index, shard, kind, transfer_id)
            for index, kind, transfer_id in zip(page.indexes, page.kinds, page.transfer_ids, strict=True)
        ]
        if said == stored:
            return
        names = ("journal_index", "shard", "kind", "transfer_id")
        for index, have, want in zip(page.indexes, stored, said, strict=True):
            if have != want:
                differing = differences(dict(zip(names, have, strict=True)), dict(zip(names, want, strict=True)))
                self._alter(altered, index, "the row's columns are not the record's fields", *differing)

    def _alter(self, altered: dict[int, Finding], index: int, detail: str, *differing: Difference) -> None:
        before = altered.get(index)
        altered[index] = Finding(
            "record_altered",
            "journal",
            f"{self._shard}/{index}",
            detail if before is None else before.detail,
            EDITED,
            index,
            stored_hash="" if before is None else before.stored_hash,
            computed_hash="" if before is None else before.computed_hash,
            differences=(() if before is None else before.differences) + differing,
        )

    def _check_times(self, records: Sequence[JournalRecord]) -> None:
        times = [self._time, *map(_time_of, records)]
        if not all(map(le, times, times[1:])):
            for before, after, record in zip(times, times[1:], records, strict=False):
                if after < before:
                    self._found.find(
                        Finding(
                            "timestamp_backwards",
                            "journal",
                            f"{self._shard}/{record.index}",
                            "its time is before that of the record before it",
                            REWRITTEN,
                            record.index,
                            differences=(Difference("time", after, f"{before} or later"),),
                        )
                    )
        self._time = times[-1]


def _is_time(text: str) -> bool:
    try:
        return to_rfc3339(from_rfc3339(text)) == text
    except ValueError:
        return False


def _kind_in(text: bytes) -> str:
    try:
        return msgspec.json.decode(text, type=_Kind).kind
    except msgspec.MsgspecError:
        return ""
