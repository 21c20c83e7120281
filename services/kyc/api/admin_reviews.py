"""The reviewer's side: the queue, who takes what from it, and what he has to see."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request

from libs.common.clock import Clock
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.kyc.api.own_review import require_other
from services.kyc.api.review_models import (
    ApplicantAnswer,
    ClaimAnswer,
    ReviewAnswer,
    ReviewFilter,
    ReviewList,
    RiskBody,
)
from services.kyc.domain.read_reason import ReadReason
from services.kyc.use_cases.change_risk import ChangeRisk
from services.kyc.use_cases.claim_review import ClaimReview
from services.kyc.use_cases.read_applicant import ReadApplicant
from services.kyc.views.review_queue import ReviewQueueView

_PAGE: Final = 50
_PAGE_MAX: Final = 100
_POSITION_MAX: Final = 2**63 - 1
_NOBODY: Final = "nobody"
_CLAIMANT: Final = r"^(nobody|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
_OF_REVIEWS: Final = ("role_required", "own_review", "application_not_found")


def admin_reviews_router(
    queue: ReviewQueueView,
    claim_review: ClaimReview,
    read_applicant: ReadApplicant,
    change_risk: ChangeRisk,
    clock: Clock,
) -> APIRouter:
    """Return the routes by which compliance finds and takes its work."""
    router = APIRouter(prefix="/api/v1/admin/kyc", tags=["staff"])
    _add_queue(router, queue, clock)
    _add_claims(router, claim_review)

    @router.get("/{user_id}", summary="See what an applicant said of himself", responses=refusals(*_OF_REVIEWS))
    async def get_applicant(
        user_id: str,
        reason: Annotated[ReadReason, Query(description="why you read it; the audit log keeps it")],
        principal: Annotated[Principal, permitted("verification.read_applicant")],
        request: Request,
    ) -> ApplicantAnswer:
        """Return the application, how it stands and its last fifty moves. Who read it, and why, is recorded first."""
        require_other(principal, user_id)
        return ApplicantAnswer.of(await read_applicant(user_id, asker_of(request), why=reason), clock())

    @router.put(
        "/{user_id}/risk",
        status_code=204,
        summary="Say whether it takes two to approve an applicant",
        responses=refusals(*_OF_REVIEWS),
    )
    async def put_risk(
        user_id: str,
        body: RiskBody,
        principal: Annotated[Principal, permitted("verification.change_risk")],
        request: Request,
    ) -> None:
        """Flag an applicant as of high risk, or take the flag away; whoever does that does not approve him alone.

        The customer is never told.
        """
        require_other(principal, user_id)
        await change_risk(user_id, asker_of(request), is_high=body.high_risk, reason=body.reason)

    return router


def _add_queue(router: APIRouter, queue: ReviewQueueView, clock: Clock) -> None:
    @router.get(
        "/reviews", summary="List applications to be reviewed", responses=refusals("role_required", "cursor_invalid")
    )
    async def get_reviews(
        _principal: Annotated[Principal, permitted("verification.list_reviews")],
        status: Annotated[
            ReviewFilter, Query(description="how they stand; `waiting`: for a reviewer, with an application or a tier")
        ] = "waiting",
        claimed_by: Annotated[
            str | None, Query(max_length=36, pattern=_CLAIMANT, description="whose claims, or `nobody`")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX, description="entries in one answer")] = _PAGE,
        cursor: Annotated[str | None, Query(max_length=CURSOR_CHARACTERS, description="`next` of another page")] = None,
    ) -> ReviewList:
        """Return who waits, the oldest first, without personal data. A claim that is over is none."""
        question = {"kyc": "reviews", "status": status, "claimed_by": claimed_by}
        after = decode_cursor(cursor, question, position_max=_POSITION_MAX).position if cursor is not None else 0
        claimant = "" if claimed_by == _NOBODY else claimed_by
        stored = None if status == "waiting" else status
        page = await queue.page(stored, claimed_by=claimant, after=after, limit=limit + 1)
        now = clock()
        more = encode_cursor(Cursor("next", page[limit - 1].position), question) if len(page) > limit else None
        return ReviewList(reviews=[ReviewAnswer.of(review, now) for review in page[:limit]], next=more)


def _add_claims(router: APIRouter, claim_review: ClaimReview) -> None:
    @router.post(
        "/{user_id}/claim",
        summary="Take an application to review",
        responses=refusals(*_OF_REVIEWS, "not_in_review", "claimed_by_another"),
    )
    async def post_claim(
        user_id: str, principal: Annotated[Principal, permitted("verification.claim")], request: Request
    ) -> ClaimAnswer:
        """Let nobody else decide on it for half an hour; again, for another half hour. Deciding ends it."""
        require_other(principal, user_id)
        return ClaimAnswer.of(await claim_review.claim(user_id, asker_of(request)))

    @router.delete(
        "/{user_id}/claim",
        status_code=204,
        summary="Give an application back to the queue",
        responses=refusals(*_OF_REVIEWS, "claimed_by_another"),
    )
    async def delete_claim(
        user_id: str, principal: Annotated[Principal, permitted("verification.give_back")], request: Request
    ) -> None:
        """End a claim of yours. Repeating changes nothing."""
        require_other(principal, user_id)
        await claim_review.give_back(user_id, asker_of(request))
