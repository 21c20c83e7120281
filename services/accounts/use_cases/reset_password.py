"""A customer sets a new password with the token from his mailbox."""

from datetime import datetime

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.errors import Unprocessable
from services.accounts.domain.customer import Customer
from services.accounts.one_time_tokens import one_time_token_hash
from services.accounts.passwords import Passwords
from services.accounts.store.customers import lock_customer, mark_email_verified
from services.accounts.store.password_resets import find_reset
from services.accounts.store.second_factors import delete_second_factor
from services.accounts.use_cases.change_password import replace_password
from services.accounts.use_cases.end_sessions import end_sessions
from services.accounts.use_cases.guard_guesses import GuardGuesses
from services.accounts.use_cases.revoke_credentials import revoke_known_keys


class ResetPassword:
    """Sets the password that a mailed token allows to set, once, and ends every session.

    Where the token is the first proof of the e-mail, whoever used it before may have been somebody else: his API keys,
    those he was shown, and his second factor are void, too.
    """

    def __init__(self, uow: UnitOfWork, passwords: Passwords, guard_guesses: GuardGuesses, clock: Clock) -> None:
        """Take what it works with."""
        self._guard_guesses = guard_guesses
        self._uow = uow
        self._passwords = passwords
        self._clock = clock

    async def __call__(self, asker: Asker, *, token: str, new: str) -> None:
        """Store the new password and tell the customer by e-mail.

        Locks: the customer. Emits: CredentialsRevoked for each session and key.
        Raises: Unprocessable `reset_token_invalid`, `password_common` or `password_personal`, Unavailable.
        """
        token_hash = one_time_token_hash(token)
        async with self._uow.begin() as tx:
            customer = await self._lock_owner(tx, token_hash)
        self._passwords.require_acceptable(new, email=customer.email, full_name=customer.full_name)
        password_hash = await self._passwords.hash(new)
        async with self._uow.begin() as tx:
            # Looked up again: of two uses at once only the first finds it unused.
            customer = await self._lock_owner(tx, token_hash)
            asker.is_person(customer.user_id)
            now = self._clock()
            if customer.email_verified_at is None:
                # First, because the mail about the new password names the keys that are left.
                await _void_what_was_made(tx, customer.user_id, asker, now=now)
            await replace_password(tx, customer, password_hash, asker, now=now)
            await end_sessions(tx, customer.user_id, asker, now=now)
            await self._guard_guesses.forget(tx, customer.email)

    async def _lock_owner(self, tx: Transaction, token_hash: bytes) -> Customer:
        user_id = await find_reset(tx.connection, token_hash, self._clock())
        customer = await lock_customer(tx.connection, user_id) if user_id else None
        # Under the lock nobody else uses a token of his.
        if (
            customer is None
            or customer.status != "active"
            or await find_reset(tx.connection, token_hash, self._clock()) is None
        ):
            raise Unprocessable("reset_token_invalid", "Unknown, used or older than 30 minutes; ask for another mail.")
        return customer


async def _void_what_was_made(tx: Transaction, user_id: str, asker: Asker, *, now: datetime) -> None:
    """Leave nothing by which whoever registered with an e-mail that he never proved comes back."""
    await mark_email_verified(tx.connection, user_id, now)
    await record(tx, asker, "customer.verify_email", at=now, resource=("customer", user_id))
    await revoke_known_keys(tx, user_id, now=now)
    if await delete_second_factor(tx.connection, user_id):
        await record(tx, asker, "second_factor.remove", at=now, resource=("customer", user_id))
