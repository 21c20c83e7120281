"""What was stored in plain text by an earlier version is sealed before the first request is taken."""

from typing import Final

from libs.common.db.unit_of_work import UnitOfWork
from services.kyc.store.verifications import seal_stored_applications

_PAGE: Final = 200


class SealStored:
    """Seals applications, page by page. Idempotent; two processes wait for each other's pages."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Take what it works with."""
        self._uow = uow

    async def __call__(self) -> None:
        """Go on until nothing is left in plain text. Locks: a page of verifications. Raises: Unavailable."""
        sealed = _PAGE
        while sealed:
            async with self._uow.begin() as tx:
                sealed = await seal_stored_applications(tx.connection, _PAGE)
