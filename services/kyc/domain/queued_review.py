"""What reviewers are shown of verifications: the queue, and what was done before."""

from dataclasses import dataclass
from datetime import datetime

from services.kyc.domain.review import Claim
from services.kyc.domain.verification import Status


@dataclass(frozen=True, slots=True)
class QueuedReview:
    """A verification as the queue shows it: no personal data. `position` is its place among all changes."""

    user_id: str
    status: Status
    tier: int
    version: int
    changed_at: datetime
    high_risk: bool
    claim: Claim | None
    position: int


@dataclass(frozen=True, slots=True)
class PastMove:
    """An event of a verification: what was done, by whom, why, and where it led."""

    version: int
    action: str
    status: str
    tier: int
    actor_id: str
    reason: str
    code: str
    at: datetime
