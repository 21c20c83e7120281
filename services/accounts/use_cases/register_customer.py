"""Somebody becomes a customer."""

from datetime import datetime

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.contracts.topics import CUSTOMERS
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.errors import Conflict
from libs.common.ids import new_id
from services.accounts.domain.customer import FIRST_ROLES, Customer
from services.accounts.domain.email import normalise_email
from services.accounts.messages import customer_changed
from services.accounts.passwords import Passwords
from services.accounts.store.customers import insert_customer
from services.accounts.use_cases.ask_to_verify_email import mail_verification_token


class RegisterCustomer:
    """Registers customers, whose e-mail is the natural key."""

    def __init__(self, uow: UnitOfWork, passwords: Passwords, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._passwords = passwords
        self._clock = clock

    async def __call__(self, *, email: str, password: str, full_name: str, asker: Asker) -> Customer:
        """Store the customer, retail and active, his password as a hash alone, and mail him how to prove his e-mail.

        Emits: CustomerChanged.
        Raises: Unprocessable `email_invalid`, `password_common` or `password_personal`, Conflict `email_taken`,
        Unavailable.
        """
        customer = new_customer(email, full_name, FIRST_ROLES, now=self._clock())
        # Before the transaction: nobody holds a connection while Argon2 works.
        password_hash = await first_hash(self._passwords, customer, password)
        async with self._uow.begin() as tx:
            await store_new(tx, customer, password_hash)
            await mail_verification_token(tx.connection, customer, customer.registered_at)
            at = customer.registered_at
            await record(tx, asker, "customer.register", at=at, resource=("customer", customer.user_id))
        return customer


def new_customer(email: str, full_name: str, roles: frozenset[str], *, now: datetime) -> Customer:
    """Return somebody who has not proved his e-mail. Raises: Unprocessable `email_invalid`."""
    return Customer(
        user_id=new_id(),
        email=normalise_email(email),
        full_name=full_name,
        roles=roles,
        profile="retail",
        status="active",
        email_verified_at=None,
        version=1,
        registered_at=now,
        changed_at=now,
    )


async def first_hash(passwords: Passwords, customer: Customer, password: str) -> str:
    """Return the hash to store. Raises: Unprocessable `password_common` or `password_personal`, Unavailable."""
    passwords.require_acceptable(password, email=customer.email, full_name=customer.full_name)
    return await passwords.hash(password)


async def store_new(tx: Transaction, customer: Customer, password_hash: str) -> None:
    """Store a new customer. Emits: CustomerChanged. Raises: Conflict `email_taken`."""
    if not await insert_customer(tx.connection, customer, password_hash):
        raise Conflict("email_taken", "Somebody registered with this e-mail already; log in instead.")
    tx.emit(CUSTOMERS, customer.user_id, customer_changed(customer))
