"""The reviewer's side: approving and rejecting."""

from typing import Annotated

from fastapi import APIRouter, Request

from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_not_self
from services.kyc.api.models import ApprovalBody, RejectionBody, StatusAnswer
from services.kyc.use_cases.decide_application import DecideApplication
from services.kyc.views.verification_status import status_of

_Reviewer = Annotated[Principal, permitted("verification.review")]


def admin_reviews_router(decide_application: DecideApplication) -> APIRouter:
    """Return the routes by which compliance decides on others' applications."""
    router = APIRouter(
        prefix="/api/v1/admin/kyc",
        tags=["staff"],
        responses=refusals("role_required", "own_review", "application_not_found", "not_in_review"),
    )

    @router.post("/{user_id}/approve", summary="Approve an application")
    async def post_approve(
        user_id: str, principal: _Reviewer, request: Request, body: ApprovalBody | None = None
    ) -> StatusAnswer:
        """Give an applicant in review tier 1. Needs the role compliance, and nobody reviews himself.

        Transfers that were held because he was not verified are released once fraud hears of it.
        """
        _require_reviewer(principal, user_id)
        verification = await decide_application(
            user_id=user_id,
            decision="approve",
            reason=(body.reason if body else None) or "",
            asker=asker_of(request),
        )
        return StatusAnswer.of(status_of(verification))

    @router.post("/{user_id}/reject", summary="Reject an application, or revoke an approval")
    async def post_reject(user_id: str, body: RejectionBody, principal: _Reviewer, request: Request) -> StatusAnswer:
        """Turn an applicant down, or take back what was approved. Needs the role compliance; nobody reviews himself."""
        _require_reviewer(principal, user_id)
        verification = await decide_application(
            user_id=user_id, decision="reject", reason=body.reason, asker=asker_of(request)
        )
        return StatusAnswer.of(status_of(verification))

    return router


def _require_reviewer(principal: Principal, user_id: str) -> None:
    require_not_self(principal, user_id, "own_review", "Nobody reviews himself; ask a colleague.")
