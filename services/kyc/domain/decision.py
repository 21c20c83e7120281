"""What a reviewer decides."""

from dataclasses import dataclass
from typing import Literal

from services.kyc.domain.verification import APPLICATION_TIER, StaffAction

Need = Literal["application", "identity_front", "identity_back", "tax_number", "proof_of_address"]
"""What an applicant can be asked for: his application, corrected, or a kind of document."""


@dataclass(frozen=True, slots=True)
class Decision:
    """An action of staff. `tier` is for an approval, `code` and `may_retry` for a rejection, `needs` for a question."""

    action: StaffAction
    reason: str = ""
    tier: int = APPLICATION_TIER
    code: str = ""
    may_retry: bool = True
    needs: tuple[Need, ...] = ()
