"""What a reviewer decides, and what has to be there before it holds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from libs.common.errors import Conflict
from services.kyc.domain.documents import DocumentKind
from services.kyc.domain.verification import APPLICATION_TIER, TIER_REQUESTED, StaffAction, State, legal_actions

Need = Literal["application", "identity_front", "identity_back", "tax_number", "proof_of_address"]
"""What an applicant can be asked for: his application, corrected, or a kind of document."""

_IDENTITY: Final[tuple[DocumentKind, ...]] = ("identity_front", "identity_back", "tax_number")
DOCUMENTS_OF_TIER: Final[Mapping[int, tuple[DocumentKind, ...]]] = MappingProxyType(
    {1: (), 2: _IDENTITY, 3: (*_IDENTITY, "proof_of_address")}
)
"""tier → the kinds of documents that a customer has to have given; each tier asks for the application, too."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """What a reviewer looks at: the verification's version, and how many changes of his documents there were."""

    version: int
    documents_version: int


@dataclass(frozen=True, slots=True)
class Decision:
    """An action of staff. `seen` is what it rests on; None for what holds whatever changed, such as a suspension.

    `tier` is for an approval, `code` for a rejection or a request declined, `may_retry` for a rejection, `needs` for a
    question.
    """

    action: StaffAction
    reason: str = ""
    tier: int | None = None
    code: str = ""
    may_retry: bool = True
    needs: tuple[Need, ...] = ()
    seen: Dossier | None = None

    def tier_for(self, state: State) -> int:
        """Return the tier that an approval of this state gives.

        Where none is named that is what he asked for, else the one he has, else the first.
        """
        return self.tier or state.requested_tier or state.tier or APPLICATION_TIER


def require_unchanged(seen: Dossier | None, present: Dossier, state: State) -> None:
    """Let pass a decision on what there is now. Raises: Conflict `application_changed`, with what there is."""
    if seen is not None and seen != present:
        raise Conflict(
            "application_changed",
            "Something has changed since you looked; look again.",
            version=present.version,
            documents_version=present.documents_version,
            verification_status=state.status,
        )


def missing_for(tier: int, given: Collection[str]) -> list[DocumentKind]:
    """Return the kinds of documents that this tier still needs."""
    return [kind for kind in DOCUMENTS_OF_TIER[tier] if kind not in given]


def require_documents(tier: int, given: Collection[str]) -> None:
    """Let pass an approval for which all documents are there. Raises: Conflict `documents_missing`, naming the rest."""
    missing = missing_for(tier, given)
    if missing:
        raise Conflict("documents_missing", f"Tier {tier} needs documents that are not there.", missing=missing)


def require_askable(state: State, needs: Collection[Need]) -> None:
    """Let pass what an applicant in this state can give; a request for a tier takes documents alone.

    Raises: Conflict `not_in_review`.
    """
    if state.status in TIER_REQUESTED and "application" in needs:
        raise Conflict(
            "not_in_review",
            "An application is corrected while it is in review; for a tier ask for documents.",
            verification_status=state.status,
            legal_actions=legal_actions(state, of_staff=True),
        )


def require_provided(needs: Collection[str], given: Collection[str]) -> None:
    """Let pass who has given all that he was asked for. Raises: Conflict `information_incomplete`, naming the rest."""
    missing = [need for need in needs if need not in given]
    if missing:
        raise Conflict("information_incomplete", "Something that you were asked for is not there.", missing=missing)
