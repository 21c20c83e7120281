"""A customer logs in."""

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Forbidden, Unauthenticated, Unprocessable
from libs.common.ids import new_id
from services.accounts.domain.customer import Customer
from services.accounts.domain.email import normalise_email
from services.accounts.domain.session import REFRESH_TOKEN_LIFETIME, Session
from services.accounts.metrics import LOGINS
from services.accounts.passwords import Passwords
from services.accounts.store.customers import find_credentials
from services.accounts.store.sessions import insert_session
from services.accounts.tokens import AccessTokens, TokenPair, new_refresh_token


class AuthenticateCustomer:
    """Exchanges an e-mail and a password for a pair of tokens, the first of a new family."""

    def __init__(
        self, uow: UnitOfWork, passwords: Passwords, tokens: AccessTokens, clock: Clock, *, verified_email: bool
    ) -> None:
        """Take what it works with; `verified_email` refuses whoever has not verified his."""
        self._uow = uow
        self._passwords = passwords
        self._tokens = tokens
        self._clock = clock
        self._verified_email = verified_email

    async def __call__(self, *, email: str, password: str) -> TokenPair:
        """Return fresh tokens. An unknown e-mail gets the answer of a wrong password, after the same work.

        Raises: Unauthenticated `invalid_credentials`, Forbidden `email_not_verified`, Unavailable.
        """
        known = await self._find(email)
        fits = await self._passwords.verify(known[1] if known else None, password)
        if known is None or not fits or known[0].status != "active":
            LOGINS.labels("refused").inc()
            raise Unauthenticated("invalid_credentials", "E-mail or password is wrong.")
        customer = known[0]
        if self._verified_email and customer.email_verified_at is None:
            LOGINS.labels("refused").inc()
            raise Forbidden("email_not_verified", "Verify your e-mail first.")
        pair = await self._begin_family(customer)
        LOGINS.labels("accepted").inc()
        return pair

    async def _find(self, email: str) -> tuple[Customer, str] | None:
        try:
            normal = normalise_email(email)
        except Unprocessable:
            return None
        async with self._uow.begin() as tx:
            return await find_credentials(tx.connection, normal)

    async def _begin_family(self, customer: Customer) -> TokenPair:
        now = self._clock()
        refresh = new_refresh_token()
        session_id = new_id()
        session = Session(
            session_id=session_id,
            user_id=customer.user_id,
            family_id=session_id,
            issued_at=now,
            expires_at=now + REFRESH_TOKEN_LIFETIME,
            rotated_at=None,
            revoked_at=None,
        )
        async with self._uow.begin() as tx:
            await insert_session(tx.connection, session, refresh.sha256)
        access = self._tokens.issue(user_id=customer.user_id, roles=customer.roles, now=now)
        return TokenPair(access_token=access, refresh_token=refresh.text)
