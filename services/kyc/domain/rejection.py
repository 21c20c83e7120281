"""Why an applicant is turned down: codes of ours, and which of them he is told."""

from typing import Final, Literal

RejectionCode = Literal[
    "data_mismatch",
    "document_unreadable",
    "document_expired",
    "document_mismatch",
    "information_missing",
    "country_not_served",
    "duplicate",
    "forged",
    "suspicion",
    "other",
]

_TOLD: Final = frozenset(
    {
        "data_mismatch",
        "document_unreadable",
        "document_expired",
        "document_mismatch",
        "information_missing",
        "country_not_served",
    }
)


def told_code(code: str) -> str:
    """Return the code if the applicant may know it: what he can mend; never that somebody suspects him."""
    return code if code in _TOLD else ""
