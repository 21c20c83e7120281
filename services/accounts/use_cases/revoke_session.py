"""A customer logs out."""

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.accounts.store.sessions import lock_session, revoke_family
from services.accounts.tokens import refresh_token_hash


class RevokeSession:
    """Ends everything that followed from one login. Access tokens run out by themselves, within 15 minutes."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, refresh_token: str) -> None:
        """Revoke the token's family; an unknown token is revoked already. Locks: the session. Raises: Unavailable."""
        async with self._uow.begin() as tx:
            session = await lock_session(tx.connection, refresh_token_hash(refresh_token))
            if session is not None:
                await revoke_family(tx.connection, session.family_id, self._clock())
