"""What one commit of the ledger writes, and on which state that was decided."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from libs.common.contracts.audit import AuditEntry
from libs.common.proof.tiles import FullTile
from services.ledger.domain.run import Decisions
from services.ledger.store.heads import JournalHead

COPIED_FROM: Final = 64
"""From this many rows on they follow by COPY. That fills and logs whole pages, half the work a row; but it is two round
trips of its own, and fewer rows cost less than those as arrays of the statement that leaves anyway."""

Columns: TypeAlias = tuple[Sequence[object], ...]


class HeadMoved(Exception):
    """Somebody else wrote since this batch was decided, or the shard is halted: nothing of it was written."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one commit writes, and the state it was decided on."""

    shard: int
    before: JournalHead
    decisions: Decisions
    recorded_at: datetime
    published_size: int
    audited: Sequence[AuditEntry] = ()
    """What the audit log says of it; nothing of new transfers, which are the gateway's to tell of."""
    undecided: Iterator[None] | None = None
    """Each step decides some more, while what was decided before is being copied. None when all of it is decided."""

    @property
    def versions(self) -> list[int]:
        """Those of the accounts it changes, before it does."""
        read = self.decisions.books.read
        return [read[account_id].version for account_id in self.decisions.books.changed]

    @property
    def is_copied(self) -> bool:
        """Whether its transfers, entries and records follow by COPY."""
        rows = max(len(self.decisions.books.entries), len(self.decisions.changes))
        return self.undecided is not None or rows >= COPIED_FROM

    @property
    def fits_one_statement(self) -> bool:
        """Whether nothing of it is copied, and it holds nothing but new transfers that nobody's word is audited for."""
        return self.decisions.only_inserts and not self.audited and not self.is_copied


class Sealed(NamedTuple):
    """What a batch adds to the journal: one record, leaf and chain hash a change."""

    records: list[bytes]
    leaves: list[bytes]
    chain: list[bytes]
    full_tiles: list[FullTile]
    after: JournalHead
    note: str
