"""Sessions: a family of refresh tokens, each used once; a second use shows that somebody copied one."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

ACCESS_TOKEN_LIFETIME: Final = timedelta(minutes=15)
REFRESH_TOKEN_LIFETIME: Final = timedelta(days=30)
SESSIONS_MAX: Final = 100
"""Per customer; another log-in ends the one that was used least lately."""
ISSUER: Final = "tallystick"
AUDIENCE: Final = "tallystick"

RefreshVerdict = Literal["rotate", "invalid", "reused"]
Factor = Literal["pwd", "otp"]
"""As RFC 8176 names them: a password, a one-time code."""

PASSWORD_ALONE: Final[frozenset[Factor]] = frozenset({"pwd"})


@dataclass(frozen=True, slots=True)
class Caller:
    """From where somebody asks, as the gateway tells it. Shown to himself, so that he knows his own log-ins again."""

    address: str = field(repr=False)
    user_agent: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """When a person last proved who he is, and by which factors."""

    at: datetime
    factors: frozenset[Factor]


@dataclass(frozen=True, slots=True)
class Session:
    """One refresh token's record. `family_id` joins all that followed from one login, which was at `begun_at`.

    Of a family only the newest is not rotated; `caller` is who asked for it.
    """

    session_id: str
    user_id: str
    family_id: str
    begun_at: datetime
    issued_at: datetime
    expires_at: datetime
    proof: Proof
    caller: Caller
    rotated_at: datetime | None = None
    revoked_at: datetime | None = None


def first_session(session_id: str, *, user_id: str, proof: Proof, caller: Caller) -> Session:
    """Return what a login begins; the family has the id of its first session."""
    return Session(
        session_id=session_id,
        user_id=user_id,
        family_id=session_id,
        begun_at=proof.at,
        issued_at=proof.at,
        expires_at=proof.at + REFRESH_TOKEN_LIFETIME,
        proof=proof,
        caller=caller,
    )


def next_session(session_id: str, *, after: Session, caller: Caller, now: datetime) -> Session:
    """Return what a refresh leads to: nobody proved anything, so when that was last done stays as it was."""
    return Session(
        session_id=session_id,
        user_id=after.user_id,
        family_id=after.family_id,
        begun_at=after.begun_at,
        issued_at=now,
        expires_at=now + REFRESH_TOKEN_LIFETIME,
        proof=after.proof,
        caller=caller,
    )


def judge_refresh(session: Session | None, now: datetime) -> RefreshVerdict:
    """Decide what a presented refresh token is worth. `reused` asks for the whole family to be revoked."""
    if session is None or session.revoked_at is not None or session.expires_at <= now:
        return "invalid"
    return "rotate" if session.rotated_at is None else "reused"


def access_claims(*, session: Session, roles: frozenset[str], token_id: str, now: datetime) -> dict[str, object]:
    """Return the claims of an access token (RFC 7519), times in seconds since 1970.

    When it was issued is exact: what is revoked up to a moment must not take with it what was issued after it.
    `sid`, `auth_time` and `amr` are those of OpenID Connect: the log-in, when he last proved himself, and how.
    """
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": session.user_id,
        "roles": sorted(roles),
        "jti": token_id,
        "iat": now.timestamp(),
        "exp": int((now + ACCESS_TOKEN_LIFETIME).timestamp()),
        "sid": session.family_id,
        "auth_time": int(session.proof.at.timestamp()),
        "amr": sorted(session.proof.factors),
    }
