"""A customer who knows his password chooses another."""

from datetime import datetime

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.errors import Forbidden, NotFound
from services.accounts.domain.customer import Customer
from services.accounts.domain.security_notices import password_changed_notice
from services.accounts.passwords import Passwords
from services.accounts.store.api_keys import list_living_keys
from services.accounts.store.customers import find_credentials, find_customer, lock_customer, update_password
from services.accounts.store.password_resets import use_resets
from services.accounts.use_cases.end_sessions import end_sessions
from services.accounts.use_cases.guard_guesses import GuardGuesses
from services.accounts.use_cases.tell_of_log_in import tell_of_log_in


class ChangePassword:
    """Sets another password and ends every session but the one that asks."""

    def __init__(self, uow: UnitOfWork, passwords: Passwords, guard_guesses: GuardGuesses, clock: Clock) -> None:
        """Take what it works with."""
        self._guard_guesses = guard_guesses
        self._uow = uow
        self._passwords = passwords
        self._clock = clock

    async def __call__(self, asker: Asker, *, session_id: str, old: str, new: str) -> None:
        """Store the new password and tell the customer by e-mail.

        Locks: the customer. Emits: CredentialsRevoked for each session that ends.
        Raises: NotFound `customer_not_found`, TooManyRequests `login_locked`, Forbidden `password_wrong`, Unprocessable
        `password_common` or `password_personal`, Unavailable.
        """
        customer, old_hash = await self._find(asker.actor_id)
        async with self._guard_guesses.guess(
            email=customer.email, user_id=customer.user_id, address=asker.address, is_whole_proof=False
        ):
            if not await self._passwords.verify(old_hash, old):
                raise _wrong()
        self._passwords.require_acceptable(new, email=customer.email, full_name=customer.full_name)
        new_hash = await self._passwords.hash(new)
        async with self._uow.begin() as tx:
            await lock_customer(tx.connection, customer.user_id)
            known = await find_credentials(tx.connection, customer.email)
            # Argon2 takes long enough for somebody else to change it meanwhile.
            if known is None or known[1] != old_hash:
                raise _wrong()
            now = self._clock()
            await replace_password(tx, customer, new_hash, asker, now=now)
            await end_sessions(tx, customer.user_id, asker, now=now, keep=session_id)

    async def _find(self, user_id: str) -> tuple[Customer, str]:
        async with self._uow.begin() as tx:
            customer = await find_customer(tx.connection, user_id)
            known = await find_credentials(tx.connection, customer.email) if customer else None
        if known is None:
            raise NotFound("customer_not_found", "There is no such customer.")
        return known


async def replace_password(
    tx: Transaction, customer: Customer, password_hash: str, asker: Asker, *, now: datetime
) -> None:
    """Store the hash for a customer whom the caller has locked; tokens that would set another are worth nothing now."""
    await update_password(tx.connection, customer.user_id, password_hash)
    await use_resets(tx.connection, customer.user_id, now)
    living_keys = await list_living_keys(tx.connection, customer.user_id, now)
    notice = password_changed_notice(customer.email, asker.address, now, living_keys=living_keys)
    await tell_of_log_in(tx.connection, customer.user_id, notice, now)
    await record(tx, asker, "password.change", at=now, resource=("customer", customer.user_id))


def _wrong() -> Forbidden:
    return Forbidden("password_wrong", "Your present password is another; nothing was changed.")
