"""Access tokens: Ed25519 JWTs (RFC 7519, RFC 8037), verified by the keys of a JWKS file, remembered until expiry.

API keys come in the same header; what they are worth only accounts knows (`api_keys.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import jwt
import msgspec

from libs.common.clock import unix_seconds
from libs.common.errors import Forbidden, Unauthenticated, Unavailable
from libs.common.http.permissions import ROLES, STAFF
from libs.common.http.revocations import Revocations

KEY_PREFIX: Final = "tsk_"
ISSUER: Final = "tallystick"
AUDIENCE: Final = "tallystick"

_REMEMBERED_MAX: Final = 50_000
_TOKEN_CHARACTERS_MAX: Final = 4096
_REREAD_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a user id, his roles, and the token that says so until `expires_at`. Moments are seconds since 1970."""

    user_id: str
    roles: frozenset[str]
    token_id: str
    expires_at: float
    issued_at: float = 0.0
    session_id: str = ""
    """What followed from one log-in has this in common; empty for an API key."""
    authenticated_at: float = 0.0
    """When the person last proved himself, by password at least."""
    second_factor_at: float | None = None
    """When he last did so with a second factor; None: without one."""
    scopes: frozenset[str] | None = None
    """What an API key may be used for; None: a person who logged in."""
    key_id: str = ""
    is_machine: bool = False
    """Whether this is a service account, made by an admin for a machine."""

    def is_staff(self) -> bool:
        """Tell whether he has any role besides customer."""
        return bool(self.roles & STAFF)


class AskFirst(Unavailable):
    """An API key that nobody has asked about within the last minute: `TokenVerifier.identify` does."""

    def __init__(self) -> None:
        """Say so to whoever does not ask."""
        super().__init__("credentials_unknown", "What this key is worth is not known yet; try again.")


class ApiKeys(Protocol):
    """What knows API keys."""

    def look_up(self, text: str, address: str) -> Principal:
        """Return whose key this is, used from this address. Raises: AskFirst, Unauthenticated, Forbidden."""

    async def ask(self, text: str, address: str) -> None:
        """Find out what the key is worth, for somebody at this address. Raises: Unauthenticated, Unavailable."""


class TokenVerifier:
    """Verifies bearer tokens. A signature costs 100 µs, so each token is verified once and then looked up."""

    def __init__(
        self,
        jwks_file: Path,
        revocations: Revocations | None = None,
        now: Callable[[], float] = unix_seconds,
        keys: ApiKeys | None = None,
        max_auth_age_seconds: int = 0,
    ) -> None:
        """Read the keys now, and again whenever the file changes. `now` returns seconds since 1970."""
        self.revocations: Final = revocations or Revocations()
        self._api_keys = keys
        self._max_auth_age_seconds = max_auth_age_seconds
        self._file = jwks_file
        self._now = now
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at = float("-inf")
        self._changed_at = -1
        self._remembered: dict[str, Principal] = {}
        self._reread(now())

    async def identify(self, authorization: str | None, address: str = "") -> Principal:
        """Return who the `Authorization` header names, also if accounts must be asked. Raises: as `verify`."""
        try:
            return self.verify(authorization, address)
        except AskFirst:
            if self._api_keys is None or authorization is None:
                raise
        await self._api_keys.ask(_token_of(authorization), address)
        return self.verify(authorization, address)

    def verify(self, authorization: str | None, address: str = "") -> Principal:
        """Return who the `Authorization` header names, from memory or by a signature.

        Raises: Unauthenticated, Unavailable, AskFirst; Forbidden for a key that may not be used from this address.
        """
        now = self._now()
        if not 0 <= now - self._read_at <= _REREAD_SECONDS:  # nor does a clock that was set back keep old keys
            self._reread(now)
        if authorization is None:
            raise Unauthenticated("token_missing", "Send `Authorization: Bearer <access token>`; log in to get one.")
        principal = self._remembered.get(authorization)
        if principal is None:
            token = _token_of(authorization)
            if self._api_keys is not None and token.startswith(KEY_PREFIX):
                return self._api_keys.look_up(token, address)
            principal = self._verify(token)
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[authorization] = principal
        if principal.expires_at <= now:
            self._remembered.pop(authorization, None)
            raise Unauthenticated("token_expired", "The access token has expired; refresh it or log in again.")
        if self._is_revoked(principal):
            self._remembered.pop(authorization, None)
            raise Unauthenticated("token_revoked", "The access token was revoked; log in again.")
        return principal

    def require_fresh(self, principal: Principal) -> None:
        """Let pass who proved himself with a second factor not long ago; everybody where that is not asked for.

        Raises: Forbidden `second_factor_missing`, `second_factor_stale`.
        """
        seconds = self._max_auth_age_seconds
        if not seconds:
            return
        if principal.second_factor_at is None:
            raise Forbidden("second_factor_missing", "Log in with a second factor to do this.")
        if self._now() - principal.second_factor_at > seconds:
            raise Forbidden("second_factor_stale", "Log in again to do this.", max_auth_age_seconds=seconds)

    def _is_revoked(self, principal: Principal) -> bool:
        """Asked at every request, because what is remembered may be revoked a moment later. Raises: Unavailable."""
        revocations = self.revocations
        if not revocations.are_known:
            raise Unavailable("credentials_unknown", "Which tokens were revoked is not known yet; try again.")
        revoked_at = revocations.user_revoked_at(principal.user_id)
        return principal.issued_at <= revoked_at or revocations.names(principal.session_id)

    def _verify(self, token: str) -> Principal:
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token,
                key=key,
                algorithms=["EdDSA"],
                issuer=ISSUER,
                audience=AUDIENCE,
                leeway=0,
                # The clock of accounts may be ahead of ours: who logged in a moment ago is not refused for that.
                options={"require": ["exp", "iat", "sub", "jti", "aud", "iss"], "verify_iat": False},
            )
            principal = _principal_of(claims)
        except jwt.ExpiredSignatureError as failure:
            raise Unauthenticated(
                "token_expired", "The access token has expired; refresh it or log in again."
            ) from failure
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as failure:
            raise _invalid() from failure
        return principal

    def _reread(self, now: float) -> None:
        """Load the keys if the file changed; tokens signed by a key that left are forgotten with everything else."""
        self._read_at = now
        changed_at = self._file.stat().st_mtime_ns
        if changed_at == self._changed_at:
            return
        document = msgspec.json.decode(self._file.read_bytes())
        self._keys = {entry["kid"]: jwt.PyJWK(entry, algorithm="EdDSA") for entry in document["keys"]}
        self._changed_at = changed_at
        self._remembered.clear()


def _token_of(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > _TOKEN_CHARACTERS_MAX:
        raise _invalid()
    return token


def _principal_of(claims: Mapping[str, Any]) -> Principal:
    """Raises: Unauthenticated, KeyError, TypeError or ValueError for claims that accounts does not write."""
    roles, factors = claims["roles"], claims.get("amr", [])
    if not isinstance(roles, list) or not ROLES.issuperset(roles) or not isinstance(factors, list):
        raise _invalid()
    issued_at = float(claims["iat"])
    authenticated_at = float(claims.get("auth_time", issued_at))
    return Principal(
        user_id=str(claims["sub"]),
        roles=frozenset(roles),
        token_id=str(claims["jti"]),
        expires_at=float(claims["exp"]),
        issued_at=issued_at,
        session_id=str(claims.get("sid", "")),
        authenticated_at=authenticated_at,
        second_factor_at=authenticated_at if "otp" in factors else None,
    )


def _invalid() -> Unauthenticated:
    return Unauthenticated("token_invalid", "The access token is not one of ours; log in to get one.")
