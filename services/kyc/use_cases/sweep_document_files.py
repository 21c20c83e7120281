"""Files of documents that nobody needs any more are deleted: removed and erased ones, and what a crash left."""

from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.kyc.metrics import DOCUMENT_FILES_DELETED
from services.kyc.store.document_file_rows import condemn_unfinished, find_condemned, mark_deleted
from services.kyc.store.document_files import DocumentFiles

_UNFINISHED: Final = timedelta(hours=1)
"""An upload takes minutes at most; what is older and no document's was never finished."""
_PAGE: Final = 100


class SweepDocumentFiles:
    """Deletes them. Their keys are destroyed already: what is left is bytes that nobody can open."""

    def __init__(self, uow: UnitOfWork, files: DocumentFiles, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._files = files
        self._clock = clock

    async def __call__(self) -> None:
        """Delete page after page until none is left. Idempotent: broken off, it begins anew. Raises: Unavailable."""
        async with self._uow.begin() as tx:
            now = self._clock()
            await condemn_unfinished(tx.connection, now - _UNFINISHED, now)
        while True:
            async with self._uow.begin() as tx:
                page = await find_condemned(tx.connection, _PAGE)
            for document_id in page:
                await self._files.delete(document_id)
            async with self._uow.begin() as tx:
                await mark_deleted(tx.connection, page, self._clock())
            DOCUMENT_FILES_DELETED.inc(len(page))
            if len(page) < _PAGE:
                return
