"""What a verification of the audit log finds: one broken promise each, with the fields that differ."""

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

AuditFindingKind = Literal[
    "entry_altered",
    "entry_missing",
    "entry_not_collected",
    "source_altered",
    "source_missing",
    "callers_altered",
    "leaf_altered",
    "leaf_missing",
    "seal_broken",
    "seal_forged",
    "tail_cut",
]

FINDINGS_MAX: Final = 50
"""More would bury the first, which is the one to look at."""


class AuditDifference(NamedTuple):
    """A field that is not what it has to be."""

    field: str
    stored: str
    expected: str


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One broken promise about one row: `row` is its key in `table`."""

    kind: AuditFindingKind
    table: str
    row: str
    detail: str
    differences: tuple[AuditDifference, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of what differs."""
        return tuple(difference.field for difference in self.differences)


@dataclass(slots=True)
class AuditVerification:
    """What was checked and what was found. `size` is the number of sealed entries."""

    size: int = 0
    seals: int = 0
    waiting: int = 0
    findings: list[AuditFinding] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def find(
        self,
        kind: AuditFindingKind,
        table: str,
        row: str,
        detail: str,
        differences: tuple[AuditDifference, ...] = (),
    ) -> None:
        """Take in a finding, unless there are enough."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(AuditFinding(kind, table, row, detail, differences))
