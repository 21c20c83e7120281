"""Sessions: a family of refresh tokens, each used once; a second use shows that somebody copied one."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

ACCESS_TOKEN_LIFETIME: Final = timedelta(minutes=15)
REFRESH_TOKEN_LIFETIME: Final = timedelta(days=30)
ISSUER: Final = "tallystick"
AUDIENCE: Final = "tallystick"

RefreshVerdict = Literal["rotate", "invalid", "reused"]


@dataclass(frozen=True, slots=True)
class Session:
    """One refresh token's record. `family_id` joins all that followed from one login."""

    session_id: str
    user_id: str
    family_id: str
    issued_at: datetime
    expires_at: datetime
    rotated_at: datetime | None
    revoked_at: datetime | None


def judge_refresh(session: Session | None, now: datetime) -> RefreshVerdict:
    """Decide what a presented refresh token is worth. `reused` asks for the whole family to be revoked."""
    if session is None or session.revoked_at is not None or session.expires_at <= now:
        return "invalid"
    return "rotate" if session.rotated_at is None else "reused"


def access_claims(*, user_id: str, roles: frozenset[str], token_id: str, now: datetime) -> dict[str, object]:
    """Return the claims of an access token (RFC 7519), times in seconds since 1970.

    When it was issued is exact: what is revoked up to a moment must not take with it what was issued after it.
    """
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user_id,
        "roles": sorted(roles),
        "jti": token_id,
        "iat": now.timestamp(),
        "exp": int((now + ACCESS_TOKEN_LIFETIME).timestamp()),
    }


def canonical_password(text: str) -> str:
    """Return the password in NFKC, so that every keyboard's spelling of it is the same (NIST SP 800-63B, 5.1.1.2)."""
    return unicodedata.normalize("NFKC", text)
