"""Before the first request is taken: what an earlier version stored in plain text is sealed, by the right keys."""

from typing import Final

from libs.common.db.unit_of_work import UnitOfWork
from services.accounts.store.customers import require_same_keys, seal_stored_customers

_PAGE: Final = 200


class SealStored:
    """Seals customers' names and e-mails, page by page. Idempotent; two processes wait for each other's pages."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Take what it works with."""
        self._uow = uow

    async def __call__(self) -> None:
        """Go on until nothing is left in plain text.

        Locks: a page of customers. Raises: InvariantBroken when these are not the master keys of what is stored: rather
        no service than one that finds nobody, and seals new customers by other keys. Unavailable.
        """
        async with self._uow.begin() as tx:
            await require_same_keys(tx.connection)
        sealed = _PAGE
        while sealed:
            async with self._uow.begin() as tx:
                sealed = await seal_stored_customers(tx.connection, _PAGE)
