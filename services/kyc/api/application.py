"""The customer's side: applying, and asking how it stands."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Request, Response

from libs.common.clock import Clock
from libs.common.db.kept_answers import KeptAnswer
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.idempotency import REFUSED_COPIES, Keyed, answer_of, kept_response
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_recent
from services.kyc.api.models import ApplicationAnswer, ApplicationBody, StatusAnswer
from services.kyc.domain.verification import Verification
from services.kyc.use_cases.answer_question import AnswerQuestion
from services.kyc.use_cases.submit_application import SubmitApplication
from services.kyc.views.verification_status import VerificationStatusView, status_of


def application_router(
    submit_application: SubmitApplication,
    answer_question: AnswerQuestion,
    statuses: VerificationStatusView,
    hide: Callable[[str], bytes],
    clock: Clock,
) -> APIRouter:
    """Return the routes about the caller's own verification; `hide` is the keyed hash of what makes bodies copies."""
    router = APIRouter(prefix="/api/v1/kyc", tags=["kyc"])

    def answer(verification: Verification) -> KeptAnswer:
        return answer_of(StatusAnswer.of(status_of(verification, clock())), 201)

    @router.post(
        "/application",
        status_code=201,
        response_model=StatusAnswer,
        summary="Apply to be verified",
        responses=refusals(
            "role_required",
            "birth_date_invalid",
            "birth_date_in_future",
            "under_age",
            "unknown_country",
            "application_exists",
            "retry_not_allowed",
            "retry_too_soon",
            "information_incomplete",
            *REFUSED_COPIES,
        ),
    )
    async def post_application(
        body: ApplicationBody,
        principal: Annotated[Principal, permitted("verification.apply")],
        asked: Keyed,
        request: Request,
    ) -> Response:
        """Bring the caller's verification into review. Applicants are at least 18 years old.

        Whoever is in review or approved cannot apply again; whoever was rejected can from `retry_at` on, unless that
        was final, and whoever was asked for more can correct his application so.
        """
        verification = await submit_application(
            asked.by(principal.user_id, answer, hide=hide),
            asker_of(request),
            full_name=body.full_name,
            birth_date=body.birth_date,
            country=body.country,
        )
        return kept_response(answer(verification), replayed=False)

    _add_information(router, answer_question, clock)

    @router.get(
        "/application",
        summary="See what I applied with",
        responses=refusals("step_up_required", "application_not_found"),
    )
    async def get_application(
        principal: Annotated[Principal, permitted("verification.read_application")],
    ) -> ApplicationAnswer:
        """Return what the caller said of himself when he last applied.

        Needs a log-in or a step-up within ten minutes.
        """
        require_recent(principal.authenticated_at, clock())
        return ApplicationAnswer.of(await statuses.application_of(principal.user_id))

    @router.get("/status", summary="See how my verification stands", responses=refusals())
    async def get_status(principal: Annotated[Principal, permitted("verification.read")]) -> StatusAnswer:
        """Return status, tier, phase and what to do next; `none` and tier 0 for somebody who never applied.

        `rejection_code` is null where there is nothing to say.
        """
        return StatusAnswer.of(await statuses.of(principal.user_id))

    return router


def _add_information(router: APIRouter, answer_question: AnswerQuestion, clock: Clock) -> None:
    def answer(verification: Verification) -> KeptAnswer:
        return answer_of(StatusAnswer.of(status_of(verification, clock())), 200)

    @router.post(
        "/information",
        response_model=StatusAnswer,
        summary="Say that what I was asked for is there",
        responses=refusals(
            "role_required",
            "application_not_found",
            "information_not_asked",
            "information_incomplete",
            "documents_missing",
            *REFUSED_COPIES,
        ),
    )
    async def post_information(
        principal: Annotated[Principal, permitted("verification.provide")], asked: Keyed, request: Request
    ) -> Response:
        """Go back into review once every document in `needs` was sent. A corrected application has its own route."""
        verification = await answer_question(asked.by(principal.user_id, answer), asker_of(request))
        return kept_response(answer(verification), replayed=False)
