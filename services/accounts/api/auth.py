"""Logging in, staying logged in, logging out."""

from typing import Any, Final

from fastapi import APIRouter, Request

from libs.common.http.app import asker_of
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.accounts.api.models import Login, RefreshRequest, Tokens
from services.accounts.api.second_factor import given_codes
from services.accounts.domain.session import ACCESS_TOKEN_LIFETIME
from services.accounts.tokens import AccessTokens, TokenPair
from services.accounts.use_cases.authenticate_customer import AuthenticateCustomer
from services.accounts.use_cases.refresh_session import RefreshSession
from services.accounts.use_cases.revoke_session import RevokeSession

_PUBLIC: Final = (permitted("session.begin"),)
_EXPIRES_IN: Final = int(ACCESS_TOKEN_LIFETIME.total_seconds())


def auth_router(
    authenticate_customer: AuthenticateCustomer,
    refresh_session: RefreshSession,
    revoke_session: RevokeSession,
    tokens: AccessTokens,
) -> APIRouter:
    """Return the routes that hand out tokens and take them back."""
    router = APIRouter(prefix="/api/v1/auth", tags=["log in"])

    @router.post(
        "/login",
        summary="Log in",
        dependencies=_PUBLIC,
        responses=refusals(
            "invalid_credentials", "email_not_verified", "second_factor_required", "second_factor_wrong", "login_locked"
        ),
    )
    async def login(body: Login, request: Request) -> Tokens:
        """Exchange e-mail and password for an access token of 15 minutes and a refresh token of 30 days.

        Who has set up an authenticator sends a code of it, or a recovery code, in the same request; without one the
        right password is answered 401 `second_factor_required`. A code works once.

        An unknown e-mail is answered like a wrong password, after as much work. After five wrong attempts about one
        e-mail, or fifty from one address, each next one waits twice as long: 429 `login_locked`, with `Retry-After`.
        When too many log in at once, the
        answer is 503 `login_busy`.
        """
        password = body.password.get_secret_value()
        codes = given_codes(body.totp_code, body.recovery_code)
        return _answer(
            await authenticate_customer(email=body.email, password=password, given=codes, asker=asker_of(request))
        )

    @router.post(
        "/refresh",
        summary="Exchange a refresh token for a new pair",
        dependencies=_PUBLIC,
        responses=refusals("refresh_token_invalid", "refresh_token_reused"),
    )
    async def refresh(body: RefreshRequest, request: Request) -> Tokens:
        """Return a new pair; the token presented is used up.

        Presenting a used one shows that it was copied: everything that followed from that login is revoked, and the
        customer is told by e-mail.
        """
        return _answer(await refresh_session(body.refresh_token.get_secret_value(), asker_of(request)))

    @router.post("/logout", status_code=204, summary="Log out", dependencies=_PUBLIC, responses=refusals())
    async def logout(body: RefreshRequest, request: Request) -> None:
        """Revoke everything that followed from the same login; unknown tokens are answered alike."""
        await revoke_session.of_token(body.refresh_token.get_secret_value(), asker_of(request))

    @router.get("/jwks", summary="Public keys of access tokens", dependencies=[permitted("token_keys.read")])
    def key_set() -> dict[str, list[dict[str, Any]]]:
        """Return the keys that verify access tokens, as a JWK set (RFC 7517). Public."""
        return tokens.key_set()

    return router


def _answer(pair: TokenPair) -> Tokens:
    return Tokens(access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in=_EXPIRES_IN)
