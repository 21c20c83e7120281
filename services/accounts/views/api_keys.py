"""What is told of API keys and of service accounts."""

from collections.abc import Sequence

from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from services.accounts.domain.api_key import ApiKey
from services.accounts.domain.service_account import ServiceAccount
from services.accounts.store.api_keys import read_keys
from services.accounts.store.service_accounts import lock_service_account, read_service_accounts


class ApiKeyView:
    """Looks keys and the machines that hold them up. Raises: Unavailable, everywhere."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Take what it reads with."""
        self._uow = uow

    async def of(self, user_id: str, before: str | None, limit: int) -> Sequence[ApiKey]:
        """Return a page of somebody's keys, newest first, behind the key `before`."""
        async with self._uow.begin() as tx:
            return await read_keys(tx.connection, user_id, before=before, limit=limit)

    async def of_machine(self, user_id: str, before: str | None, limit: int) -> Sequence[ApiKey]:
        """Return a page of a service account's. Raises: NotFound `service_account_not_found`."""
        async with self._uow.begin() as tx:
            if await lock_service_account(tx.connection, user_id) is None:
                raise NotFound("service_account_not_found", "There is no such service account.")
            return await read_keys(tx.connection, user_id, before=before, limit=limit)

    async def machines(self, before: str | None, limit: int) -> Sequence[ServiceAccount]:
        """Return a page of service accounts, newest first, behind the one `before`."""
        async with self._uow.begin() as tx:
            return await read_service_accounts(tx.connection, before, limit)
