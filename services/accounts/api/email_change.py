"""Changing one's e-mail."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from libs.common.clock import Clock
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.models import EmailText, StrictModel
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_recent
from services.accounts.api.email_verification import ANSWERED_AFTER_SECONDS, VerificationToken
from services.accounts.use_cases.change_email import ChangeEmail

_Himself = Annotated[Principal, permitted("customer.change_email")]


class WantedEmail(StrictModel):
    """The e-mail to log in with from now on."""

    email: Annotated[EmailText, Field(description="A mailbox that you can read: it is sent a token.")]


def email_change_router(change_email: ChangeEmail, clock: Clock) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1/me/email", tags=["customers"])

    @router.post(
        "",
        status_code=202,
        response_class=Response,
        summary="Ask to change my e-mail",
        responses=refusals(
            "step_up_required", "email_invalid", "email_change_too_soon", "customer_not_found", "customer_closed"
        ),
    )
    async def post_email(body: WantedEmail, principal: _Himself, request: Request) -> Response:
        """Mail a token to the new address, and tell the old one. Until the token comes back nothing changes.

        Needs a log-in or a step-up within ten minutes. Asking again replaces the token, after a pause of 1, 2, 4 … 60
        minutes. An address that is somebody's is sent nothing, and the answer is the same.
        """
        require_recent(principal.authenticated_at, clock())
        await asyncio.gather(asyncio.sleep(ANSWERED_AFTER_SECONDS), change_email.ask(asker_of(request), body.email))
        return Response(status_code=202)

    @router.post(
        "/confirm",
        status_code=204,
        summary="Confirm my new e-mail",
        responses=refusals("verification_token_invalid", "email_taken", "customer_not_found", "customer_closed"),
    )
    async def post_token(body: VerificationToken, _principal: _Himself, request: Request) -> None:
        """Log in with the new e-mail from now on, and tell the old one. The token works once, for its customer alone.

        It is good for 24 hours. Log-ins go on.
        """
        await change_email.confirm(asker_of(request), body.token.get_secret_value())

    return router
