"""The customer's side: asking for a higher tier."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from libs.common.clock import Clock
from libs.common.db.kept_answers import KeptAnswer
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.idempotency import REFUSED_COPIES, Keyed, answer_of, kept_response
from libs.common.http.openapi import refusals
from services.kyc.api.models import StatusAnswer, TierBody
from services.kyc.domain.verification import Verification
from services.kyc.use_cases.request_tier import RequestTier
from services.kyc.views.verification_status import status_of

_Customer = Annotated[Principal, permitted("verification.request_tier")]


def tier_requests_router(request_tier: RequestTier, clock: Clock) -> APIRouter:
    """Return the routes by which a customer asks for a tier of his own."""
    router = APIRouter(prefix="/api/v1/kyc", tags=["kyc"])

    def answer(verification: Verification) -> KeptAnswer:
        return answer_of(StatusAnswer.of(status_of(verification, clock())), 200)

    @router.post(
        "/tier",
        response_model=StatusAnswer,
        summary="Ask for a higher tier",
        responses=refusals(
            "role_required", "application_not_found", "tier_not_requestable", "retry_too_soon", *REFUSED_COPIES
        ),
    )
    async def post_tier(body: TierBody, principal: _Customer, asked: Keyed, request: Request) -> Response:
        """Ask for a tier above the caller's own, which he keeps whatever becomes of it.

        With all of its documents there it is reviewed. Else `next_action` is `provide` and `needs` names the rest: send
        them, then say so by `POST /information`.
        """
        once = asked.by(principal.user_id, answer)
        verification = await request_tier(once, asker_of(request), tier=body.tier)
        return kept_response(answer(verification), replayed=False)

    @router.delete(
        "/tier", status_code=204, summary="Ask for no other tier any more", responses=refusals("role_required")
    )
    async def delete_tier(_principal: _Customer, request: Request) -> None:
        """Take a request for a higher tier back. Repeating changes nothing."""
        await request_tier.withdraw(asker_of(request))

    return router
