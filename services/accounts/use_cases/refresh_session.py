"""A refresh token is exchanged for its successor, once."""

import structlog

from libs.common.clock import Clock
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.errors import Unauthenticated
from libs.common.ids import new_id
from services.accounts.domain.session import REFRESH_TOKEN_LIFETIME, Session, judge_refresh
from services.accounts.metrics import REFRESH_TOKENS_REUSED
from services.accounts.store.customers import lock_customer
from services.accounts.store.sessions import insert_session, lock_session, mark_rotated, revoke_family
from services.accounts.tokens import AccessTokens, TokenPair, new_refresh_token, refresh_token_hash

log = structlog.get_logger()


class RefreshSession:
    """Rotates refresh tokens and ends a family of which one was used twice (RFC 9700, 4.14.2)."""

    def __init__(self, uow: UnitOfWork, tokens: AccessTokens, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._tokens = tokens
        self._clock = clock

    async def __call__(self, refresh_token: str) -> TokenPair:
        """Return fresh tokens with the customer's present roles; the one presented is worth nothing from now on.

        Locks: the session, the customer.
        Raises: Unauthenticated `refresh_token_invalid`, `refresh_token_reused`, Unavailable.
        """
        async with self._uow.begin() as tx:
            session = await lock_session(tx.connection, refresh_token_hash(refresh_token))
            verdict = judge_refresh(session, self._clock())
            if session is not None and verdict == "reused":
                await revoke_family(tx.connection, session.family_id, self._clock())
            pair = await self._rotate(tx, session) if session is not None and verdict == "rotate" else None
        # Raised after the commit: a revocation that rolls back would leave the thief logged in.
        if verdict == "reused":
            REFRESH_TOKENS_REUSED.inc()
            log.warning("refresh_token_reused", family_id=session.family_id if session else None)
            raise Unauthenticated("refresh_token_reused", "This token was used before; log in again.")
        if pair is None:
            raise Unauthenticated("refresh_token_invalid", "This token is not valid; log in again.")
        return pair

    async def _rotate(self, tx: Transaction, session: Session) -> TokenPair | None:
        # Locked, so that a change of his roles comes wholly before this token, or ends it.
        customer = await lock_customer(tx.connection, session.user_id)
        if customer is None or customer.status != "active":
            return None
        now = self._clock()
        refresh = new_refresh_token()
        successor = Session(
            session_id=new_id(),
            user_id=session.user_id,
            family_id=session.family_id,
            issued_at=now,
            expires_at=now + REFRESH_TOKEN_LIFETIME,
            rotated_at=None,
            revoked_at=None,
        )
        await mark_rotated(tx.connection, session.session_id, now)
        await insert_session(tx.connection, successor, refresh.sha256)
        access = self._tokens.issue(user_id=customer.user_id, roles=customer.roles, now=now)
        return TokenPair(access_token=access, refresh_token=refresh.text)
