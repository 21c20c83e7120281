"""A customer logs in."""

from libs.common.audit.asker import Asker
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Forbidden, Unauthenticated, Unprocessable
from services.accounts.domain.customer import Customer
from services.accounts.domain.email import normalise_email
from services.accounts.domain.second_factor import GivenCodes
from services.accounts.domain.session import Proof
from services.accounts.metrics import LOGINS
from services.accounts.passwords import Passwords
from services.accounts.store.customers import find_credentials, lock_customer, update_password
from services.accounts.tokens import AccessTokens, TokenPair
from services.accounts.use_cases.begin_session import begin_session
from services.accounts.use_cases.guard_guesses import GuardGuesses
from services.accounts.use_cases.prove_second_factor import prove_second_factor


class AuthenticateCustomer:
    """Exchanges an e-mail and a password for a pair of tokens, the first of a new family."""

    def __init__(
        self,
        uow: UnitOfWork,
        passwords: Passwords,
        guard_guesses: GuardGuesses,
        tokens: AccessTokens,
        clock: Clock,
        *,
        verified_email: bool,
    ) -> None:
        """Take what it works with; `verified_email` refuses whoever has not verified his."""
        self._uow = uow
        self._passwords = passwords
        self._guard_guesses = guard_guesses
        self._tokens = tokens
        self._clock = clock
        self._verified_email = verified_email

    async def __call__(self, *, email: str, password: str, given: GivenCodes, asker: Asker) -> TokenPair:
        """Return fresh tokens. An unknown e-mail gets the answer of a wrong password, after the same work.

        A hash with parameters of former times is replaced. Locks: the customer.
        Emits: CredentialsRevoked, when another log-in of his has to make room.
        Raises: TooManyRequests `login_locked`, Unauthenticated `invalid_credentials`, Forbidden `email_not_verified`,
        Unauthenticated `second_factor_required` or `second_factor_wrong`, Unavailable.
        """
        try:
            normal = normalise_email(email)
        except Unprocessable:
            normal = email.casefold()
        async with self._uow.begin() as tx:
            known = await find_credentials(tx.connection, normal)
        user_id = known[0].user_id if known else None
        if user_id is not None:
            asker.concerns("customer", user_id)
        async with self._guard_guesses.guess(email=normal, user_id=user_id, address=asker.address, is_whole_proof=True):
            pair = await self._verify(known, password, given, asker)
        LOGINS.labels("accepted").inc()
        return pair

    async def _verify(
        self, known: tuple[Customer, str] | None, password: str, given: GivenCodes, asker: Asker
    ) -> TokenPair:
        fits = await self._passwords.verify(known[1] if known else None, password)
        if known is None or not fits or known[0].status != "active":
            raise _refused()
        customer, stored_hash = known
        if self._verified_email and customer.email_verified_at is None:
            LOGINS.labels("refused").inc()
            raise Forbidden("email_not_verified", "Verify your e-mail first.")
        new_hash = await self._passwords.hash_anew(stored_hash, password)
        async with self._uow.begin() as tx:
            await lock_customer(tx.connection, customer.user_id)
            now_known = await find_credentials(tx.connection, customer.email)
            # Argon2 takes long enough for a password to change, or a customer to be closed, meanwhile.
            if now_known is None or now_known[0].status != "active" or now_known[1] != stored_hash:
                raise _refused()
            now = self._clock()
            factors = await prove_second_factor(tx, customer.user_id, given, now=now)
            if new_hash is not None:
                await update_password(tx.connection, customer.user_id, new_hash)
            return await begin_session(tx, now_known[0], self._tokens, proof=Proof(now, factors), asker=asker)


def _refused() -> Unauthenticated:
    LOGINS.labels("refused").inc()
    return Unauthenticated("invalid_credentials", "E-mail or password is wrong.")
