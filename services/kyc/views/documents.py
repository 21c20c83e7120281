"""Which documents a customer has sent: facts, never content."""

from collections.abc import Sequence

from libs.common.db.unit_of_work import UnitOfWork
from libs.common.ids import is_id
from services.kyc.domain.documents import Document
from services.kyc.store.documents import read_documents


class DocumentsView:
    """Lists documents."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Take what it reads with."""
        self._uow = uow

    async def of(self, user_id: str, *, before: str, limit: int) -> tuple[Sequence[Document], bool]:
        """Return (the customer's documents before this id, newest first; whether there are more).

        Raises: Unavailable.
        """
        if not is_id(user_id):
            return [], False
        async with self._uow.begin() as tx:
            found = await read_documents(tx.connection, user_id, before, limit + 1)
        return found[:limit], len(found) > limit
