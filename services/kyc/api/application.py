"""The customer's side: applying, and asking how it stands."""

from typing import Annotated

from fastapi import APIRouter

from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.kyc.api.models import ApplicationBody, StatusAnswer
from services.kyc.use_cases.submit_application import SubmitApplication
from services.kyc.views.verification_status import VerificationStatusView, status_of


def application_router(submit_application: SubmitApplication, statuses: VerificationStatusView) -> APIRouter:
    """Return the routes about the caller's own verification."""
    router = APIRouter(prefix="/api/v1/kyc", tags=["kyc"])

    @router.post(
        "/application",
        status_code=201,
        summary="Apply to be verified",
        responses=refusals(
            "role_required",
            "birth_date_invalid",
            "birth_date_in_future",
            "under_age",
            "unknown_country",
            "application_exists",
        ),
    )
    async def post_application(
        body: ApplicationBody, principal: Annotated[Principal, permitted("verification.apply")]
    ) -> StatusAnswer:
        """Bring the caller's verification into review. Applicants are at least 18 years old.

        Whoever is in review or approved cannot apply again; whoever was rejected can.
        """
        verification = await submit_application(
            user_id=principal.user_id,
            full_name=body.full_name,
            birth_date=body.birth_date,
            country=body.country,
        )
        return StatusAnswer.of(status_of(verification))

    @router.get("/status", summary="See how my verification stands", responses=refusals())
    async def get_status(principal: Annotated[Principal, permitted("verification.read")]) -> StatusAnswer:
        """Return status, tier and what to do next; `none` and tier 0 for somebody who never applied."""
        return StatusAnswer.of(await statuses.of(principal.user_id))

    return router
