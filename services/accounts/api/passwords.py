"""Setting another password, with the old one or without."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.models import EmailText, StrictModel
from libs.common.http.openapi import refusals
from services.accounts.api.models import MailedTokenText, NewPassword, PasswordAttempt
from services.accounts.use_cases.change_password import ChangePassword
from services.accounts.use_cases.request_password_reset import RequestPasswordReset
from services.accounts.use_cases.reset_password import ResetPassword


class PasswordChange(StrictModel):
    """The password that holds until now, and the one that holds from now on."""

    old_password: PasswordAttempt
    new_password: NewPassword


class ForgottenPassword(StrictModel):
    """The e-mail somebody registered with."""

    email: EmailText


class PasswordReset(StrictModel):
    """The token from the mail, and the password that holds from now on."""

    token: MailedTokenText
    new_password: NewPassword


def passwords_router(
    change_password: ChangePassword, request_password_reset: RequestPasswordReset, reset_password: ResetPassword
) -> APIRouter:
    """Return the routes by which somebody sets another password."""
    router = APIRouter(prefix="/api/v1/auth", tags=["log in"])
    public = (permitted("password.reset"),)

    @router.post(
        "/password",
        status_code=204,
        summary="Change my password",
        responses=refusals(
            "login_locked", "password_wrong", "password_common", "password_personal", "customer_not_found"
        ),
    )
    async def post_password(
        body: PasswordChange, principal: Annotated[Principal, permitted("password.change")], request: Request
    ) -> None:
        """Set another password. Every other session of the caller ends, and he is told by e-mail."""
        await change_password(
            asker_of(request),
            session_id=principal.session_id,
            old=body.old_password.get_secret_value(),
            new=body.new_password.get_secret_value(),
        )

    @router.post(
        "/password-reset",
        status_code=202,
        response_class=Response,
        summary="Mail me a token that sets a new password",
        dependencies=public,
        responses=refusals(),
    )
    async def post_password_reset(body: ForgottenPassword) -> Response:
        """Mail a token, which works once and for 30 minutes, to the customer of this e-mail; at most three an hour.

        The answer, and the time it takes, are the same whether or not there is one.
        """
        await request_password_reset(body.email)
        return Response(status_code=202)

    @router.post(
        "/password-reset/confirm",
        status_code=204,
        summary="Set a new password by the mailed token",
        dependencies=public,
        responses=refusals("reset_token_invalid", "password_common", "password_personal"),
    )
    async def post_new_password(body: PasswordReset, request: Request) -> None:
        """Set a new password without the old one. Every session ends, and the customer is told by e-mail.

        A second factor that is set up stays so.
        """
        await reset_password(
            asker_of(request), token=body.token.get_secret_value(), new=body.new_password.get_secret_value()
        )

    return router
