"""Somebody who is logged in proves once more who he is."""

from dataclasses import replace

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.errors import Forbidden, NotFound
from services.accounts.domain.customer import Customer
from services.accounts.domain.second_factor import GivenCodes
from services.accounts.domain.session import PASSWORD_ALONE, Proof
from services.accounts.passwords import Passwords
from services.accounts.store.customers import find_credentials, find_customer, lock_customer
from services.accounts.store.sessions import find_live_session, update_proof
from services.accounts.tokens import AccessTokens
from services.accounts.use_cases.guard_guesses import GuardGuesses
from services.accounts.use_cases.prove_second_factor import prove_second_factor


class RefreshProof:
    """Gives a session a fresh proof: by the second factor where there is one, else by the password."""

    def __init__(
        self,
        uow: UnitOfWork,
        passwords: Passwords,
        guard_guesses: GuardGuesses,
        tokens: AccessTokens,
        clock: Clock,
    ) -> None:
        """Take what it works with."""
        self._guard_guesses = guard_guesses
        self._uow = uow
        self._passwords = passwords
        self._tokens = tokens
        self._clock = clock

    async def __call__(self, asker: Asker, *, session_id: str, password: str | None, given: GivenCodes) -> str:
        """Return an access token of this session that says so; what is refreshed later says so, too.

        A password that is given has to be right also where the second factor alone would do.
        Locks: the customer. Raises: NotFound `session_not_found`, TooManyRequests `login_locked`, Forbidden
        `password_wrong`, Unauthenticated `second_factor_required` or `second_factor_wrong`, Unavailable.
        """
        customer, stored_hash = await self._find(asker.actor_id)
        async with self._guard_guesses.guess(
            email=customer.email, user_id=customer.user_id, address=asker.address, is_whole_proof=password is not None
        ):
            if password is not None and not await self._passwords.verify(stored_hash, password):
                raise _wrong()
            async with self._uow.begin() as tx:
                return await self._prove(tx, customer, asker, session_id, given, knows_password=password is not None)

    async def _find(self, user_id: str) -> tuple[Customer, str]:
        async with self._uow.begin() as tx:
            customer = await find_customer(tx.connection, user_id)
            known = await find_credentials(tx.connection, customer.email) if customer else None
        if known is None:
            raise _no_session()
        return known

    async def _prove(
        self,
        tx: Transaction,
        customer: Customer,
        asker: Asker,
        session_id: str,
        given: GivenCodes,
        *,
        knows_password: bool,
    ) -> str:
        locked = await lock_customer(tx.connection, customer.user_id)
        now = self._clock()
        # Whatever changes a password ends this session, or comes from it.
        session = await find_live_session(tx.connection, customer.user_id, session_id, now=now)
        if locked is None or locked.status != "active" or session is None:
            raise _no_session()
        factors = await prove_second_factor(tx, customer.user_id, given, now=now)
        if factors == PASSWORD_ALONE and not knows_password:
            raise _wrong()
        proof = Proof(now, factors)
        await update_proof(tx.connection, session.session_id, proof)
        facts = {"customer": customer.user_id, "factors": sorted(factors)}
        await record(tx, asker, "session.step_up", at=now, resource=("session", session.family_id), facts=facts)
        return self._tokens.issue(session=replace(session, proof=proof), roles=locked.roles, now=now)


def _wrong() -> Forbidden:
    return Forbidden("password_wrong", "This is not your present password; nothing was changed.")


def _no_session() -> NotFound:
    return NotFound("session_not_found", "You have no such session, or it has ended.")
