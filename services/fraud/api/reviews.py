"""The review queue, for compliance: who looks at which held transfer, and what becomes of it."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from libs.common.db.kept_answers import KeptAnswer
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.id_pages import PAGE, PageCursor, PageSize, next_of, place_of
from libs.common.http.idempotency import REFUSED_COPIES, Keyed, KeyedRequest, SurelyKeyed, kept_response
from libs.common.http.models import IdText
from libs.common.http.openapi import refusals
from libs.common.idempotency_keys import KEY_HEADER
from libs.common.money import MAX_AMOUNT_MINOR
from services.fraud.api.review_models import (
    ApproveManyBody,
    BulkAnswer,
    CommentBody,
    RejectManyBody,
    ReviewApprovalBody,
    ReviewDecisionAnswer,
    ReviewList,
    ReviewRejectionBody,
)
from services.fraud.domain.reviews import ReviewStatus
from services.fraud.use_cases.claim_review import ClaimReview
from services.fraud.use_cases.decide_review import DecideReview, Decision
from services.fraud.use_cases.decide_reviews import BulkRequest, DecideReviews
from services.fraud.use_cases.note_comment import NoteComment
from services.fraud.views.show_reviews import ReviewQuery, ShownReview, ShowReviews

_TransferId = Annotated[IdText, Path()]
_Reader = Annotated[Principal, permitted("review.read")]
_Reviewer = Annotated[Principal, permitted("review.decide")]
_OF_ONE: Final = ("role_required", "own_transfer", "review_not_found")
_OF_DECISIONS: Final = (*_OF_ONE, "review_not_open", "review_claimed")
_OF_MANY: Final = (
    "role_required",
    "idempotency_key_missing",
    "idempotency_key_invalid",
    "idempotency_key_reused",
)


def reviews_router(
    show: ShowReviews, claim: ClaimReview, comment: NoteComment, decide: DecideReview, decide_many: DecideReviews
) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1/admin/fraud", tags=["fraud"])
    _add_reading(router, show)
    _add_working(router, claim, comment)
    _add_deciding(router, decide)
    _add_deciding_many(router, decide_many)
    return router


def _add_reading(router: APIRouter, show: ShowReviews) -> None:
    @router.get(
        "/reviews", summary="List transfers held for a review", responses=refusals("role_required", "cursor_invalid")
    )
    async def list_reviews(
        principal: _Reader,
        status: Annotated[ReviewStatus, Query(description="in this state")] = "open",
        claimed_by: Annotated[IdText | None, Query(description="claimed by this reviewer now")] = None,
        payer_id: Annotated[IdText | None, Query(description="sent by this customer")] = None,
        min_usd_minor: Annotated[
            int, Query(ge=0, le=MAX_AMOUNT_MINOR, description="worth this or more, in US cents")
        ] = 0,
        limit: PageSize = PAGE,
        cursor: PageCursor = None,
    ) -> ReviewList:
        """Return reviews with age and whether they are overdue, the longest due first.

        What the reader himself takes part in is left out.
        """
        query = ReviewQuery(status, claimed_by, payer_id, min_usd_minor)
        question = {
            "reviews": status,
            "claimed_by": claimed_by,
            "payer_id": payer_id,
            "min_usd_minor": min_usd_minor,
            "reader": principal.user_id,
        }
        after = place_of(cursor, question)
        page = await show.page(query, reader_id=principal.user_id, after=after, limit=limit + 1)
        shown = page[:limit]
        return ReviewList(reviews=shown, next=next_of(question, shown[-1].transfer_id) if len(page) > limit else None)

    @router.get(
        "/reviews/{transfer_id}", summary="See a review, with what held the transfer", responses=refusals(*_OF_ONE)
    )
    async def read_review(transfer_id: _TransferId, principal: _Reader) -> ShownReview:
        """Return a review, the decision that held its transfer with all it rested on, and what was done and said."""
        return await show.one(transfer_id, reader_id=principal.user_id)


def _add_working(router: APIRouter, claim: ClaimReview, comment: NoteComment) -> None:
    @router.put(
        "/reviews/{transfer_id}/claim", status_code=204, summary="Claim a review", responses=refusals(*_OF_DECISIONS)
    )
    async def put_claim(transfer_id: _TransferId, _principal: _Reviewer, request: Request) -> None:
        """Have a review to oneself for fifteen minutes; meanwhile no colleague decides it. Repeating begins anew."""
        await claim(transfer_id, asker_of(request))

    @router.delete(
        "/reviews/{transfer_id}/claim",
        status_code=204,
        summary="Let go of a review",
        responses=refusals("role_required", "review_not_found", "review_not_claimed"),
    )
    async def delete_claim(transfer_id: _TransferId, _principal: _Reviewer, request: Request) -> None:
        """Give back what one has claimed oneself, so that a colleague need not wait for its end."""
        await claim.release(transfer_id, asker_of(request))

    @router.post(
        "/reviews/{transfer_id}/comments",
        status_code=204,
        summary="Comment on a review",
        responses=refusals(*_OF_ONE, "too_many_comments", *REFUSED_COPIES),
    )
    async def post_comment(
        transfer_id: _TransferId, body: CommentBody, principal: _Reviewer, asked: Keyed, request: Request
    ) -> Response:
        """Say something to colleagues, also about a review that is over. It cannot be changed or taken back."""
        await comment(asked.by(principal.user_id, _said), transfer_id, body.text, asker_of(request))
        return kept_response(_said(None), replayed=False)


def _said(_made: None) -> KeptAnswer:
    return KeptAnswer(204, "", "", b"")


def _add_deciding(router: APIRouter, decide: DecideReview) -> None:
    @router.post(
        "/reviews/{transfer_id}/approve",
        summary="Approve a held transfer",
        responses=refusals(*_OF_DECISIONS, "second_person_required"),
    )
    async def post_approval(
        transfer_id: _TransferId, _principal: _Reviewer, request: Request, body: ReviewApprovalBody | None = None
    ) -> ReviewDecisionAnswer:
        """Let a transfer go on, unless it waits for something else. A review nobody has claimed needs no claim.

        Above 100,000.00 USD it takes two people; the first of them gives up his claim by approving.
        """
        reason = (body.reason if body else None) or ""
        return ReviewDecisionAnswer.of(await decide(transfer_id, "approve", reason, asker_of(request)))

    @router.post("/reviews/{transfer_id}/reject", summary="Reject a held transfer", responses=refusals(*_OF_DECISIONS))
    async def post_rejection(
        transfer_id: _TransferId, body: ReviewRejectionBody, _principal: _Reviewer, request: Request
    ) -> ReviewDecisionAnswer:
        """Give the money back, whatever else the transfer waits for. One person is enough."""
        return ReviewDecisionAnswer.of(await decide(transfer_id, "reject", body.reason, asker_of(request)))


def _add_deciding_many(router: APIRouter, decide_many: DecideReviews) -> None:
    async def decided(
        asked: KeyedRequest,
        request: Request,
        response: Response,
        decision: Decision,
        body: ApproveManyBody | RejectManyBody,
    ) -> BulkAnswer:
        asker = asker_of(request)
        bulk = BulkRequest(asked.key_of(asker.actor_id), asked.body_hash, decision, body.reason or "")
        outcomes, is_replayed = await decide_many(bulk, list(dict.fromkeys(body.transfer_ids)), asker)
        if is_replayed:
            response.headers["Idempotency-Replayed"] = "true"
        return BulkAnswer.of(outcomes)

    # Beside the queue: within it, "approve" would be a transfer's id to whoever asks with GET.
    @router.post(
        "/bulk-reviews/approve",
        summary="Approve many held transfers",
        responses=refusals(*_OF_MANY),
        openapi_extra={"parameters": [KEY_HEADER]},
    )
    async def post_approvals(
        body: ApproveManyBody, _principal: _Reviewer, asked: SurelyKeyed, request: Request, response: Response
    ) -> BulkAnswer:
        """Approve up to a hundred, each for itself; one that cannot be is named and keeps no other from it.

        Should the answer be lost or 503, some are decided: send it again with the same key. What was decided or refused
        is told as it was, and the rest is done.
        """
        return await decided(asked, request, response, "approve", body)

    @router.post(
        "/bulk-reviews/reject",
        summary="Reject many held transfers",
        responses=refusals(*_OF_MANY),
        openapi_extra={"parameters": [KEY_HEADER]},
    )
    async def post_rejections(
        body: RejectManyBody, _principal: _Reviewer, asked: SurelyKeyed, request: Request, response: Response
    ) -> BulkAnswer:
        """Reject up to a hundred, each for itself; one that cannot be is named and keeps no other from it.

        Sent again with the same key, it answers as approving many does.
        """
        return await decided(asked, request, response, "reject", body)
