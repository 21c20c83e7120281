"""Somebody becomes a customer."""

from libs.common.clock import Clock
from libs.common.contracts.topics import CUSTOMERS
from libs.common.db.unit_of_work import UnitOfWork
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

    async def __call__(
        self,
        *,
        email: str,
        password: str,
        full_name: str,
        roles: frozenset[str] = FIRST_ROLES,
        email_is_proved: bool = False,
    ) -> Customer:
        """Store the customer, retail and active, his password as a hash alone, and mail him how to prove his e-mail.

        `email_is_proved` is for somebody whom the installation itself names: he is mailed nothing.

        Emits: CustomerChanged.
        Raises: Unprocessable `email_invalid`, `password_common` or `password_personal`, Conflict `email_taken`,
        Unavailable.
        """
        normal = normalise_email(email)
        self._passwords.require_acceptable(password, email=normal, full_name=full_name)
        # Before the transaction: nobody holds a connection while Argon2 works.
        password_hash = await self._passwords.hash(password)
        now = self._clock()
        customer = Customer(
            user_id=new_id(),
            email=normal,
            full_name=full_name,
            roles=roles,
            profile="retail",
            status="active",
            email_verified_at=now if email_is_proved else None,
            version=1,
            registered_at=now,
            changed_at=now,
        )
        async with self._uow.begin() as tx:
            if not await insert_customer(tx.connection, customer, password_hash):
                raise Conflict("email_taken", "Somebody registered with this e-mail already; log in instead.")
            if not email_is_proved:
                await mail_verification_token(tx.connection, customer, now)
            tx.emit(CUSTOMERS, customer.user_id, customer_changed(customer))
        return customer
