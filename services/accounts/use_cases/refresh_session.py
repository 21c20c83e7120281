"""A refresh token is exchanged for its successor, once."""

import structlog

from libs.common.audit.asker import Asker
from libs.common.clock import Clock
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.errors import Unauthenticated
from libs.common.ids import new_id
from services.accounts.domain.customer import Customer
from services.accounts.domain.security_notices import token_reused_notice
from services.accounts.domain.session import Caller, RefreshVerdict, Session, judge_refresh, next_session
from services.accounts.metrics import REFRESH_TOKENS_REUSED
from services.accounts.store.customers import lock_customer
from services.accounts.store.sessions import find_session, insert_session, mark_rotated
from services.accounts.tokens import AccessTokens, TokenPair, new_refresh_token, refresh_token_hash
from services.accounts.use_cases.end_sessions import end_sessions
from services.accounts.use_cases.tell_of_log_in import tell_of_log_in

log = structlog.get_logger()


class RefreshSession:
    """Rotates refresh tokens and ends a family of which one was used twice (RFC 9700, 4.14.2)."""

    def __init__(self, uow: UnitOfWork, tokens: AccessTokens, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._tokens = tokens
        self._clock = clock

    async def __call__(self, refresh_token: str, asker: Asker) -> TokenPair:
        """Return fresh tokens with the customer's present roles; the one presented is worth nothing from now on.

        A second use ends the log-in and is told to the customer by e-mail. Locks: the customer.
        Emits: CredentialsRevoked at a second use.
        Raises: Unauthenticated `refresh_token_invalid`, `refresh_token_reused`, Unavailable.
        """
        async with self._uow.begin() as tx:
            verdict, pair = await self._judge(tx, refresh_token_hash(refresh_token), asker)
        # Raised after the commit: a revocation that rolls back would leave the thief logged in.
        if verdict == "reused":
            raise Unauthenticated("refresh_token_reused", "This token was used before; log in again.")
        if pair is None:
            raise Unauthenticated("refresh_token_invalid", "This token is not valid; log in again.")
        return pair

    async def _judge(
        self, tx: Transaction, refresh_hash: bytes, asker: Asker
    ) -> tuple[RefreshVerdict, TokenPair | None]:
        found = await find_session(tx.connection, refresh_hash)
        customer = None if found is None else await lock_customer(tx.connection, found.user_id)
        if customer is None or customer.status != "active":
            return "invalid", None
        asker.is_person(customer.user_id)
        # Read again under the lock: another use of it, or a change of his roles, came wholly before or comes after.
        session = await find_session(tx.connection, refresh_hash)
        verdict = judge_refresh(session, self._clock())
        if session is None or verdict == "invalid":
            return "invalid", None
        if verdict == "rotate":
            return verdict, await self._rotate(tx, customer, session, asker)
        await self._end(tx, customer, session, asker)
        return verdict, None

    async def _rotate(self, tx: Transaction, customer: Customer, session: Session, asker: Asker) -> TokenPair:
        now = self._clock()
        refresh = new_refresh_token()
        successor = next_session(new_id(), after=session, caller=Caller(asker.address, asker.user_agent), now=now)
        await mark_rotated(tx.connection, session.session_id, now)
        await insert_session(tx.connection, successor, refresh.sha256)
        access = self._tokens.issue(session=successor, roles=customer.roles, now=now)
        return TokenPair(access_token=access, refresh_token=refresh.text)

    async def _end(self, tx: Transaction, customer: Customer, session: Session, asker: Asker) -> None:
        now = self._clock()
        await end_sessions(tx, customer.user_id, asker, now=now, only=[session.family_id])
        await tell_of_log_in(
            tx.connection, customer.user_id, token_reused_notice(customer.email, asker.address, now), now
        )
        REFRESH_TOKENS_REUSED.inc()
        log.warning("refresh_token_reused", family_id=session.family_id)
