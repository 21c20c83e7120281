"""The reviewer's side: what he decides about an applicant."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Request, Response

from libs.common.clock import Clock
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.kyc.api.models import StatusAnswer
from services.kyc.api.own_review import require_other
from services.kyc.api.review_models import ApprovalBody, DeclineBody, QuestionBody, ReasonBody, RejectionBody
from services.kyc.domain.decision import Decision
from services.kyc.domain.verification import Verification
from services.kyc.use_cases.decide_application import DecideApplication
from services.kyc.views.verification_status import status_of

_Reviewer = Annotated[Principal, permitted("verification.review")]
_REFUSED = ("role_required", "own_review", "application_not_found", "not_in_review", "claimed_by_another")
_ON_WHAT_WAS_SEEN = (*_REFUSED, "application_changed")


def admin_decisions_router(decide_application: DecideApplication, clock: Clock) -> APIRouter:
    """Return the routes by which compliance decides on others' applications."""
    router = APIRouter(prefix="/api/v1/admin/kyc", tags=["staff"], responses=refusals(*_REFUSED))

    async def decided(user_id: str, decision: Decision, principal: Principal, request: Request) -> Verification:
        require_other(principal, user_id)
        return await decide_application(user_id, decision, asker_of(request))

    def answer(verification: Verification) -> StatusAnswer:
        return StatusAnswer.of(status_of(verification, clock()))

    async def told(user_id: str, decision: Decision, principal: Principal, request: Request) -> StatusAnswer:
        return answer(await decided(user_id, decision, principal, request))

    @router.post(
        "/{user_id}/approve",
        summary="Approve an application",
        responses={
            **refusals(*_ON_WHAT_WAS_SEEN, "second_person_needed", "documents_missing"),
            202: {"model": StatusAnswer, "description": "Noted; a second person has to approve as well."},
        },
    )
    async def post_approve(
        user_id: str, principal: _Reviewer, request: Request, response: Response, body: ApprovalBody
    ) -> StatusAnswer:
        """Give an applicant in review a tier, or an approved customer another one. Nobody reviews himself.

        Whoever asked for a tier gets that one where none is named, and never less than he has.

        As every decision but those about a suspension it names the `version` and `documents_version` that were shown
        by `GET /api/v1/admin/kyc/{user_id}`, and is refused if either has changed since.

        Tier 1 takes the application alone, 2 his identity (front and back) and tax number as documents, 3 a proof of
        address besides. Transfers that were held because he was not verified are released once fraud hears of it. An
        applicant of high risk is approved by two: the first is answered 202, and nothing is changed yet.
        """
        decision = Decision("approve", reason=body.reason or "", tier=body.tier, seen=body.seen())
        verification = await decided(user_id, decision, principal, request)
        if verification.state.tier != decision.tier_for(verification.state):
            response.status_code = 202
        return answer(verification)

    @router.post(
        "/{user_id}/reject",
        summary="Reject an application, or revoke an approval",
        responses=refusals(*_ON_WHAT_WAS_SEEN),
    )
    async def post_reject(user_id: str, body: RejectionBody, principal: _Reviewer, request: Request) -> StatusAnswer:
        """Turn an applicant down, or take back what was approved. Needs the role compliance; nobody reviews himself.

        A request for a higher tier is declined instead: `reject` is refused as long as there is one.
        He may apply again from `retry_at` on, unless `may_retry` is false.
        """
        decision = Decision("reject", reason=body.reason, code=body.code, may_retry=body.may_retry, seen=body.seen())
        return await told(user_id, decision, principal, request)

    @router.post(
        "/{user_id}/decline", summary="Decline a request for a higher tier", responses=refusals(*_ON_WHAT_WAS_SEEN)
    )
    async def post_decline(user_id: str, body: DeclineBody, principal: _Reviewer, request: Request) -> StatusAnswer:
        """Leave a customer who asked for a higher tier the one that he has; he may ask again from `retry_at` on."""
        decision = Decision("decline", reason=body.reason, code=body.code, seen=body.seen())
        return await told(user_id, decision, principal, request)

    @router.post("/{user_id}/ask", summary="Ask an applicant for more", responses=refusals(*_ON_WHAT_WAS_SEEN))
    async def post_ask(user_id: str, body: QuestionBody, principal: _Reviewer, request: Request) -> StatusAnswer:
        """Have an applicant in review correct his application or send documents; he is out of review until then.

        For a tier documents alone are asked for.
        """
        decision = Decision("ask", reason=body.reason, needs=tuple(body.needs), seen=body.seen())
        return await told(user_id, decision, principal, request)

    _add_suspending(router, told)
    return router


def _add_suspending(
    router: APIRouter, told: Callable[[str, Decision, Principal, Request], Awaitable[StatusAnswer]]
) -> None:
    @router.post("/{user_id}/suspend", summary="Suspend an approval")
    async def post_suspend(user_id: str, body: ReasonBody, principal: _Reviewer, request: Request) -> StatusAnswer:
        """Take a customer's tier away for a while: he sends nothing, what he is sent is held, what is posted stands.

        It names no version: whoever has to be stopped is stopped, whatever he has just sent or asked for.
        """
        decision = Decision("suspend", reason=body.reason)
        return await told(user_id, decision, principal, request)

    @router.post("/{user_id}/resume", summary="End the suspension of an approval")
    async def post_resume(user_id: str, body: ReasonBody, principal: _Reviewer, request: Request) -> StatusAnswer:
        """Give a customer back the tier that he had before he was suspended, and release what was held meanwhile."""
        decision = Decision("resume", reason=body.reason)
        return await told(user_id, decision, principal, request)
