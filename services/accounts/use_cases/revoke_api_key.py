"""A key is revoked, by its holder or by an admin."""

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from services.accounts.store.api_keys import revoke_key
from services.accounts.use_cases.revoke_credentials import revoke_credentials


class RevokeApiKey:
    """Ends a key everywhere, within two seconds. Idempotent by: the key."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, *, asker: Asker, user_id: str, key_id: str, for_machine: bool = False) -> None:
        """Revoke a key of this holder's.

        Locks: the key. Emits: CredentialsRevoked. Raises: NotFound `api_key_not_found`, Unavailable.
        """
        async with self._uow.begin() as tx:
            now = self._clock()
            is_revoked_now = await revoke_key(tx.connection, user_id, key_id, now)
            if is_revoked_now is None:
                raise NotFound("api_key_not_found", "There is no such key, or it is not yours.")
            if is_revoked_now:
                action = "service_account.close" if for_machine else "api_key.revoke"
                await record(tx, asker, action, at=now, resource=("api_key", key_id), facts={"holder_id": user_id})
                await revoke_credentials(tx, user_id, key_id=key_id, now=now)
