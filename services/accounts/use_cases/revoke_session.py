"""A customer logs out: here by the token he holds, elsewhere by naming a log-in of his."""

from libs.common.audit.asker import Asker
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from services.accounts.store.customers import lock_customer
from services.accounts.store.sessions import find_session
from services.accounts.tokens import refresh_token_hash
from services.accounts.use_cases.end_sessions import end_sessions


class RevokeSession:
    """Ends log-ins with everything that followed from them."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def of_token(self, refresh_token: str, asker: Asker) -> None:
        """End the token's log-in; an unknown token's has ended already.

        Locks: the customer. Emits: CredentialsRevoked. Raises: Unavailable.
        """
        async with self._uow.begin() as tx:
            session = await find_session(tx.connection, refresh_token_hash(refresh_token))
            if session is not None:
                await lock_customer(tx.connection, session.user_id)
                asker.is_person(session.user_id)
                await end_sessions(tx, session.user_id, asker, now=self._clock(), only=[session.family_id])

    async def one(self, user_id: str, session_id: str, asker: Asker) -> None:
        """End this log-in of the customer.

        Locks: the customer. Emits: CredentialsRevoked. Raises: NotFound `session_not_found`, Unavailable.
        """
        async with self._uow.begin() as tx:
            await lock_customer(tx.connection, user_id)
            if not await end_sessions(tx, user_id, asker, now=self._clock(), only=[session_id]):
                raise NotFound("session_not_found", "You have no such session, or it has ended.")

    async def others(self, user_id: str, session_id: str, asker: Asker) -> None:
        """End all log-ins of the customer but this one.

        Locks: the customer. Emits: CredentialsRevoked for each. Raises: Unavailable.
        """
        async with self._uow.begin() as tx:
            await lock_customer(tx.connection, user_id)
            await end_sessions(tx, user_id, asker, now=self._clock(), keep=session_id)
