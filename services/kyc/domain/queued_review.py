"""What reviewers are shown of verifications: the queue, and what was done before."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.kyc.domain.review import REVIEW_WITHIN, Claim
from services.kyc.domain.verification import WAITING, Status


@dataclass(frozen=True, slots=True)
class QueuedReview:
    """A verification as the queue shows it: no personal data. `position` is its place among all changes."""

    user_id: str
    status: Status
    tier: int
    requested_tier: int
    version: int
    changed_at: datetime
    high_risk: bool
    claim: Claim | None
    position: int

    def waited(self, now: datetime) -> timedelta:
        """Return how long it has waited for a reviewer; nothing if it does not wait for one."""
        return max(now - self.changed_at, timedelta()) if self.status in WAITING else timedelta()

    def is_overdue(self, now: datetime) -> bool:
        """Tell whether it has waited longer than it should."""
        return self.waited(now) > REVIEW_WITHIN


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
