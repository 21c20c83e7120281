"""A customer sets up a second factor, and takes it away again."""

from dataclasses import dataclass, field

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.errors import Conflict, NotFound, Unprocessable
from services.accounts.domain.customer import Customer
from services.accounts.domain.security_notices import second_factor_removed_notice, second_factor_set_notice
from services.accounts.one_time_codes import new_recovery_codes, new_totp_secret, otpauth_uri, recovery_code_hash
from services.accounts.store.customers import lock_customer
from services.accounts.store.second_factors import (
    confirm_totp,
    delete_second_factor,
    find_totp,
    insert_recovery_codes,
    store_unconfirmed,
)
from services.accounts.use_cases.prove_second_factor import use_totp_code
from services.accounts.use_cases.tell_of_log_in import tell_of_log_in


@dataclass(frozen=True, slots=True)
class TotpSecret:
    """What an authenticator needs, as text and as the URI in a QR code."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


class SetSecondFactor:
    """Offers, confirms and removes an authenticator. Until it is confirmed nothing asks for it."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def offer(self, asker: Asker) -> TotpSecret:
        """Make a secret in place of one that was not confirmed, and show it this once.

        Locks: the customer. Raises: NotFound `customer_not_found`, Conflict `second_factor_present`, Unavailable.
        """
        secret = new_totp_secret()
        async with self._uow.begin() as tx:
            customer = await _lock(tx, asker.actor_id)
            totp = await find_totp(tx.connection, customer.user_id)
            if totp is not None and totp.is_confirmed:
                raise Conflict("second_factor_present", "You have a second factor; remove it first.")
            await store_unconfirmed(tx.connection, customer.user_id, secret)
            about, facts = ("customer", customer.user_id), {"is_confirmed": False}
            await record(tx, asker, "second_factor.set", at=self._clock(), resource=about, facts=facts)
        return TotpSecret(secret=secret, uri=otpauth_uri(secret, customer.email))

    async def confirm(self, asker: Asker, code: str) -> list[str]:
        """Let the authenticator count from now on, and return recovery codes, shown this once.

        Locks: the customer. Raises: NotFound `customer_not_found`, Conflict `second_factor_not_begun` or
        `second_factor_present`, Unprocessable `totp_code_wrong`, Unavailable.
        """
        codes = new_recovery_codes()
        async with self._uow.begin() as tx:
            customer = await _lock(tx, asker.actor_id)
            user_id = customer.user_id
            totp = await find_totp(tx.connection, user_id)
            if totp is None:
                raise Conflict("second_factor_not_begun", "Begin with `POST /api/v1/auth/totp`.")
            if totp.is_confirmed:
                raise Conflict("second_factor_present", "You have a second factor; remove it first.")
            now = self._clock()
            if not await use_totp_code(tx, user_id, totp, code, now=now):
                raise Unprocessable("totp_code_wrong", "This is not what the authenticator shows now; send the next.")
            await confirm_totp(tx.connection, user_id, now)
            await insert_recovery_codes(tx.connection, user_id, [recovery_code_hash(one) for one in codes])
            await record(
                tx, asker, "second_factor.set", at=now, resource=("customer", user_id), facts={"is_confirmed": True}
            )
            await tell_of_log_in(
                tx.connection, customer.user_id, second_factor_set_notice(customer.email, asker.address, now), now
            )
        return codes

    async def remove(self, asker: Asker) -> None:
        """Let the password alone do. Repeating changes nothing.

        Locks: the customer. Raises: NotFound `customer_not_found`, Unavailable.
        """
        async with self._uow.begin() as tx:
            customer = await _lock(tx, asker.actor_id)
            if await delete_second_factor(tx.connection, customer.user_id):
                now = self._clock()
                await record(tx, asker, "second_factor.remove", at=now, resource=("customer", customer.user_id))
                await tell_of_log_in(
                    tx.connection,
                    customer.user_id,
                    second_factor_removed_notice(customer.email, asker.address, now),
                    now,
                )


async def _lock(tx: Transaction, user_id: str) -> Customer:
    customer = await lock_customer(tx.connection, user_id)
    if customer is None:
        raise NotFound("customer_not_found", "There is no such customer.")
    return customer
