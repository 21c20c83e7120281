"""What a verification finds: one broken promise each, with the fields that differ and what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple

import msgspec

FindingKind = Literal[
    "record_altered",
    "entry_altered",
    "balance_altered",
    "chain_broken",
    "tail_cut",
    "timestamp_backwards",
    "sequence_gap",
    "missing_record",
    "checkpoint_forged",
]
Scope = Literal["full", "incremental", "account", "transfer", "minute"]

FINDINGS_MAX: Final = 50
"""More would bury the first, which is the one to look at."""

EDITED: Final = (
    "The row was changed after it was written. Keep this database as evidence, restore from a backup that verifies, "
    "and compare with the receipts and checkpoints that others hold."
)
REWRITTEN: Final = (
    "Records were removed, added or rewritten together with their hashes. Keep this database as evidence, restore a "
    "backup and check its consistency with a checkpoint that others hold."
)
BALANCES: Final = (
    "The journal proves what happened; this row says otherwise. Keep a copy as evidence, and have the row set to what "
    "the records prove: `tallystick reconcile --repair --by ADMINISTRATOR`."
)
UNTRUSTED: Final = (
    "Check that the key you trust is the ledger's; if it is, the checkpoint is forged: do not rely on it."
)


class CannotVerify(Exception):
    """Nothing can be said, good or bad, and the text says why."""


class Difference(NamedTuple):
    """A field that is not what it has to be."""

    field: str
    stored: str
    computed: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken promise about one row.

    `row` is the row's key in `table`. `index` is the journal index of the record concerned, `parties` the accounts it
    names. Hashes are hex.
    """

    kind: FindingKind
    table: str
    row: str
    detail: str
    what_to_do: str
    index: int | None = None
    transfer_id: str = ""
    parties: tuple[str, ...] = ()
    stored_hash: str = ""
    computed_hash: str = ""
    differences: tuple[Difference, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of what differs."""
        return tuple(difference.field for difference in self.differences)

    @property
    def digest(self) -> str:
        """What two sightings of the same damage have in common (hex SHA-256); other damage to the row is another."""
        seen = [(difference.field, difference.stored) for difference in self.differences]
        return sha256(msgspec.json.encode((self.kind, self.table, self.row, self.stored_hash, seen))).hexdigest()


@dataclass(slots=True)
class Verification:
    """What was checked and what was found. `size`, `root` and `chain_hash` (hex) are the journal's as it stands.

    `first` is the index the check of the records began at. `state_digest` (hex) stands for all balances at `size`.
    """

    scope: Scope = "full"
    first: int = 0
    size: int = 0
    records: int = 0
    entries: int = 0
    blocks: int = 0
    tiles: int = 0
    seconds: float = 0.0
    root: str = ""
    chain_hash: str = ""
    state_digest: str = ""
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def is_full(self) -> bool:
        """Whether there are so many findings that the rest is not looked for."""
        return len(self.findings) >= FINDINGS_MAX

    @property
    def records_per_second(self) -> int:
        """How fast the check went."""
        return round(self.records / self.seconds) if self.seconds else 0

    def find(self, finding: Finding) -> None:
        """Take in a finding, unless there are enough."""
        if not self.is_full:
            self.findings.append(finding)

    def amend(self, finding: Finding, differing: tuple[Difference, ...], parties: tuple[str, ...]) -> None:
        """Add to a finding what differs, as another table tells it."""
        for at, known in enumerate(self.findings):
            if (known.kind, known.table, known.row) == (finding.kind, finding.table, finding.row):
                self.findings[at] = replace(
                    known, differences=known.differences + differing, parties=parties or known.parties
                )


def altered_record(shard: int, index: int, stored: bytes, computed: bytes, transfer_id: str = "") -> Finding:
    """Return the finding that a record's hash, as stored, is not the one its text makes."""
    return Finding(
        "record_altered",
        "journal",
        f"{shard}/{index}",
        "the record is not what its hash was made of",
        EDITED,
        index,
        transfer_id,
        stored_hash=stored.hex(),
        computed_hash=computed.hex(),
    )


def differences(stored: Mapping[str, Any], computed: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return the fields of `computed` that are stored with another value."""
    return tuple(
        Difference(name, str(stored[name]), str(value)) for name, value in computed.items() if stored[name] != value
    )


def row_differences(names: Sequence[str], stored: Sequence[Any], computed: Sequence[Any]) -> tuple[Difference, ...]:
    """Return the fields that differ between two rows of these columns."""
    return differences(dict(zip(names, stored, strict=True)), dict(zip(names, computed, strict=True)))
