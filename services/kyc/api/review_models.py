"""What reviewers send and are answered."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from libs.common.clock import to_rfc3339
from libs.common.http.models import ShortText, StrictModel, WholeNumber
from services.kyc.api.models import ApplicationAnswer
from services.kyc.domain.decision import DOCUMENTS_OF_TIER, Dossier, Need, missing_for
from services.kyc.domain.queued_review import PastMove, QueuedReview
from services.kyc.domain.rejection import RejectionCode
from services.kyc.domain.review import Claim, holder_of
from services.kyc.domain.verification import Status
from services.kyc.use_cases.read_applicant import Applicant

ReviewFilter = Literal[
    "waiting", "in_review", "needs_info", "approved", "tier_in_review", "tier_needs_info", "suspended", "rejected"
]


_Version = Annotated[int, Field(ge=0, le=2**53 - 1), WholeNumber]


def _each_once(needs: list[Need]) -> list[Need]:
    if len(set(needs)) < len(needs):
        message = "must name each once"
        raise ValueError(message)
    return needs


class SeenBody(StrictModel):
    """What a decision rests on, as it was shown; `documents_version` may be left out where there was no document."""

    version: _Version
    documents_version: _Version = 0

    def seen(self) -> Dossier:
        """Return what whoever decides has looked at."""
        return Dossier(self.version, self.documents_version)


class ApprovalBody(SeenBody):
    """Why it is approved, if there is something to say, and to which tier; without it to the first."""

    reason: ShortText | None = None
    tier: Annotated[int, Field(ge=1, le=3), WholeNumber] | None = None


class RejectionBody(SeenBody):
    """Why it is rejected. The words are kept in the record; the customer is told a code if he can mend what it says."""

    reason: ShortText
    code: RejectionCode = "other"
    may_retry: bool = True


class DeclineBody(SeenBody):
    """Why a tier is not given; he is told a code if he can mend what it says, the words are for colleagues."""

    reason: ShortText
    code: RejectionCode = "other"


class QuestionBody(SeenBody):
    """What the applicant is asked for, each kind once, and why; the words are kept in the record, not shown to him."""

    needs: Annotated[
        list[Need],
        Field(min_length=1, max_length=5, json_schema_extra={"uniqueItems": True}),
        AfterValidator(_each_once),
    ]
    reason: ShortText


class ReasonBody(StrictModel):
    """Why; kept in the record, not shown to the customer."""

    reason: ShortText


class RiskBody(StrictModel):
    """Whether it takes two to approve this applicant, and why; never shown to him."""

    high_risk: bool
    reason: ShortText


class ClaimAnswer(BaseModel):
    """Who looks at an application, and until when nobody else decides on it."""

    claimed_by: str
    claimed_until: str

    @classmethod
    def of(cls, claim: Claim) -> "ClaimAnswer":
        """Return the answer about this claim."""
        return cls(claimed_by=claim.claimed_by, claimed_until=to_rfc3339(claim.claimed_until))


class ReviewAnswer(BaseModel):
    """A verification in the queue; `claim` is null when nobody looks at it."""

    user_id: str
    status: Status
    tier: int
    requested_tier: int | None
    version: int
    since: str
    waiting_seconds: int
    is_overdue: bool
    high_risk: bool
    claim: ClaimAnswer | None

    @classmethod
    def of(cls, review: QueuedReview, now: datetime) -> "ReviewAnswer":
        """Return the answer about this one as it is now."""
        claim = holder_of(review.claim, now)
        return cls(
            user_id=review.user_id,
            status=review.status,
            tier=review.tier,
            requested_tier=review.requested_tier or None,
            version=review.version,
            since=to_rfc3339(review.changed_at),
            waiting_seconds=int(review.waited(now).total_seconds()),
            is_overdue=review.is_overdue(now),
            high_risk=review.high_risk,
            claim=ClaimAnswer.of(claim) if claim else None,
        )


class ReviewList(BaseModel):
    """A page of the queue, the oldest first; `next` is the cursor of the page after it, null on the last."""

    reviews: list[ReviewAnswer]
    next: str | None


class PastMoveAnswer(BaseModel):
    """What was done with a verification, and where it led."""

    version: int
    action: str
    status: str
    tier: int
    actor_id: str
    reason: str
    code: str
    at: str

    @classmethod
    def of(cls, move: PastMove) -> "PastMoveAnswer":
        """Return the answer about this move."""
        return cls(
            version=move.version,
            action=move.action,
            status=move.status,
            tier=move.tier,
            actor_id=move.actor_id,
            reason=move.reason,
            code=move.code,
            at=to_rfc3339(move.at),
        )


class WaitingApproval(BaseModel):
    """Somebody's approval, for which a second person's is waited."""

    approved_by: str
    tier: int


class TierAnswer(BaseModel):
    """A tier, and the kinds of documents that it still needs."""

    tier: int
    missing: list[str]


class ApplicantAnswer(BaseModel):
    """What a reviewer needs to decide. `application` is null once the customer was erased; moves: the latest first."""

    user_id: str
    status: Status
    tier: int
    requested_tier: int | None
    version: int
    documents_version: int
    since: str
    submitted_at: str
    needs: list[str]
    high_risk: bool
    application: ApplicationAnswer | None
    given: list[str]
    tiers: list[TierAnswer]
    approvals: list[WaitingApproval]
    claim: ClaimAnswer | None
    moves: list[PastMoveAnswer]

    @classmethod
    def of(cls, applicant: Applicant, now: datetime) -> "ApplicantAnswer":
        """Return the answer about this applicant as he is now."""
        verification = applicant.verification
        claim = holder_of(verification.claim, now)
        application = verification.application
        return cls(
            user_id=verification.user_id,
            status=verification.state.status,
            tier=verification.state.tier,
            requested_tier=verification.state.requested_tier or None,
            version=verification.state.version,
            documents_version=applicant.documents_version,
            since=to_rfc3339(verification.changed_at),
            submitted_at=to_rfc3339(verification.submitted_at),
            needs=list(verification.needs),
            high_risk=verification.risk.is_high,
            application=ApplicationAnswer.of(application) if application else None,
            given=sorted(applicant.given),
            tiers=[TierAnswer(tier=tier, missing=missing_for(tier, applicant.given)) for tier in DOCUMENTS_OF_TIER],
            approvals=[WaitingApproval(approved_by=one.approved_by, tier=one.tier) for one in applicant.approvals],
            claim=ClaimAnswer.of(claim) if claim else None,
            moves=[PastMoveAnswer.of(one) for one in applicant.moves],
        )
