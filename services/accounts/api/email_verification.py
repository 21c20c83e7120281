"""Proving that an e-mail is one's own."""

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response

from libs.common.http.app import asker_of
from libs.common.http.gate import permitted
from libs.common.http.models import EmailText, StrictModel
from libs.common.http.openapi import refusals
from services.accounts.api.models import MailedTokenText
from services.accounts.use_cases.ask_to_verify_email import AskToVerifyEmail
from services.accounts.use_cases.verify_email import VerifyEmail

ANSWERED_AFTER_SECONDS: Final = 0.2
"""What a database does for an e-mail that it knows takes longer than for one that it does not; nobody is to see it."""


class VerificationToken(StrictModel):
    """The token from the mail."""

    token: MailedTokenText


class EmailToVerify(StrictModel):
    """The e-mail somebody registered with."""

    email: EmailText


def email_verification_router(verify_email: VerifyEmail, ask_to_verify_email: AskToVerifyEmail) -> APIRouter:
    """Return the routes by which somebody proves his e-mail; none needs a token of a log-in."""
    router = APIRouter(
        prefix="/api/v1/auth/verify-email", tags=["customers"], dependencies=[permitted("customer.verify_email")]
    )

    @router.post("", status_code=204, summary="Verify my e-mail", responses=refusals("verification_token_invalid"))
    async def post_token(body: VerificationToken, request: Request) -> None:
        """Take the token that was mailed after registering. It works once, for 24 hours, and only the last one does."""
        await verify_email(body.token.get_secret_value(), asker_of(request))

    @router.post(
        "/resend", status_code=202, response_class=Response, summary="Mail me another token", responses=refusals()
    )
    async def post_email(body: EmailToVerify) -> Response:
        """Mail another token if the e-mail belongs to a customer who has not verified it, at most one a minute.

        The pause doubles with each mail, up to an hour. The answer never tells whether anything was mailed.
        """
        await asyncio.gather(asyncio.sleep(ANSWERED_AFTER_SECONDS), ask_to_verify_email(body.email))
        return Response(status_code=202)

    return router
