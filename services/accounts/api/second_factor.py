"""The second factor: setting it up, taking it away, and proving it anew."""

from typing import Annotated, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel

from libs.common.clock import Clock
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.models import StrictModel
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_recent
from services.accounts.api.models import AccessToken, PasswordAttempt, RecoveryCodeText, TotpCodeText
from services.accounts.domain.second_factor import GivenCodes
from services.accounts.domain.session import ACCESS_TOKEN_LIFETIME
from services.accounts.use_cases.refresh_proof import RefreshProof
from services.accounts.use_cases.set_second_factor import SetSecondFactor

_EXPIRES_IN: Final = int(ACCESS_TOKEN_LIFETIME.total_seconds())


class TotpBegun(BaseModel):
    """What an authenticator needs, shown this once: the secret in base32, and the same as a URI for a QR code."""

    secret: str
    otpauth_uri: str


class TotpConfirmation(StrictModel):
    """The code that the authenticator shows now."""

    totp_code: TotpCodeText


class RecoveryCodes(BaseModel):
    """Codes that stand in for the authenticator, each once. They are shown this once."""

    recovery_codes: list[str]


class StepUp(StrictModel):
    """What proves who is logged in: the second factor where there is one, else the password."""

    password: PasswordAttempt | None = None
    totp_code: TotpCodeText | None = None
    recovery_code: RecoveryCodeText | None = None


def second_factor_router(set_second_factor: SetSecondFactor, refresh_proof: RefreshProof, clock: Clock) -> APIRouter:
    """Return the routes about the second factor."""
    router = APIRouter(prefix="/api/v1/auth", tags=["log in"])

    @router.post(
        "/totp",
        status_code=201,
        summary="Begin to set up an authenticator",
        responses=refusals("step_up_required", "second_factor_present", "customer_not_found"),
    )
    async def post_totp(principal: Annotated[Principal, permitted("second_factor.set")], request: Request) -> TotpBegun:
        """Make a secret for an authenticator app (RFC 6238: SHA-1, 6 digits, 30 seconds). Nothing asks for it yet.

        Needs a log-in or a step-up within ten minutes. Beginning again replaces what was not confirmed,
        so a lost answer costs nothing. An `Idempotency-Key` means nothing here: no secret is kept to be shown again.
        """
        require_recent(principal.authenticated_at, clock())
        begun = await set_second_factor.offer(asker_of(request))
        return TotpBegun(secret=begun.secret, otpauth_uri=begun.uri)

    @router.post(
        "/totp/confirm",
        summary="Finish setting up an authenticator",
        responses=refusals(
            "step_up_required",
            "second_factor_not_begun",
            "second_factor_present",
            "totp_code_wrong",
            "customer_not_found",
        ),
    )
    async def post_totp_code(
        body: TotpConfirmation, principal: Annotated[Principal, permitted("second_factor.set")], request: Request
    ) -> RecoveryCodes:
        """Let the authenticator count from now on: logging in takes a code of it. Answers with ten recovery codes.

        Needs a log-in or a step-up within ten minutes. The code that confirms does not log in any more.
        """
        require_recent(principal.authenticated_at, clock())
        return RecoveryCodes(
            recovery_codes=await set_second_factor.confirm(asker_of(request), body.totp_code.get_secret_value())
        )

    @router.delete(
        "/totp",
        status_code=204,
        summary="Remove my authenticator",
        responses=refusals("step_up_required", "customer_not_found"),
    )
    async def delete_totp(principal: Annotated[Principal, permitted("second_factor.remove")], request: Request) -> None:
        """Let the password alone log in again; recovery codes are worth nothing then.

        Needs the second factor itself, proved within ten minutes by a log-in or a step-up.
        """
        require_recent(principal.second_factor_at, clock())
        await set_second_factor.remove(asker_of(request))

    @router.post(
        "/step-up",
        summary="Prove again who I am",
        responses=refusals(
            "session_not_found", "login_locked", "password_wrong", "second_factor_required", "second_factor_wrong"
        ),
    )
    async def post_step_up(
        body: StepUp, principal: Annotated[Principal, permitted("session.step_up")], request: Request
    ) -> AccessToken:
        """Return an access token of this session whose `auth_time` is now, for what asks for a recent proof.

        Who has an authenticator sends a code of it, or a recovery code; everybody else sends the password.
        """
        token = await refresh_proof(
            asker_of(request),
            session_id=principal.session_id,
            password=body.password.get_secret_value() if body.password else None,
            given=given_codes(body.totp_code, body.recovery_code),
        )
        return AccessToken(access_token=token, expires_in=_EXPIRES_IN)

    return router


def given_codes(totp_code: TotpCodeText | None, recovery_code: RecoveryCodeText | None) -> GivenCodes:
    """Return the codes of a body."""
    return GivenCodes(
        totp_code=totp_code.get_secret_value() if totp_code else None,
        recovery_code=recovery_code.get_secret_value() if recovery_code else None,
    )
