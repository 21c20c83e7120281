"""A fresh installation gets its first admin, who gives everybody else their roles."""

import structlog

from libs.common.audit.asker import by_itself
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Conflict
from services.accounts.domain.customer import EVERY_ROLE
from services.accounts.domain.email import normalise_email
from services.accounts.store.customers import find_credentials
from services.accounts.use_cases.create_admin import CreateAdmin

log = structlog.get_logger()


class RegisterFirstAdmin:
    """Registers the admin named in the settings. Idempotent by: e-mail; a known one is left as it is."""

    def __init__(self, uow: UnitOfWork, create_admin: CreateAdmin) -> None:
        """Take what it works with."""
        self._uow = uow
        self._create_admin = create_admin

    async def __call__(self, *, email: str, password: str) -> None:
        """Register the admin with every role, unless the e-mail is known.

        Emits: CustomerChanged. Raises: Unprocessable `email_invalid`, Unavailable.
        """
        async with self._uow.begin() as tx:
            known = await find_credentials(tx.connection, normalise_email(email))
        if known is None:
            try:
                await self._create_admin(
                    email=email,
                    password=password,
                    full_name="First admin",
                    roles=EVERY_ROLE,
                    another=True,
                    asker=by_itself("accounts"),
                )
            except Conflict:
                # A sister process of the same start was quicker.
                log.info("first_admin_present")
        elif "admin" not in known[0].roles:
            # Whoever registered with this e-mail is not made an admin by a restart.
            log.warning("first_admin_is_no_admin", user_id=known[0].user_id)
