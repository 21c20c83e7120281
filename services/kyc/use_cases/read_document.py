"""Staff look at what a customer has sent, for a reason that stays on record."""

from collections.abc import AsyncGenerator

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from libs.common.ids import is_id
from libs.common.personal.sealed_stream import open_stream
from services.kyc.domain.documents import Document
from services.kyc.domain.read_reason import ReadReason
from services.kyc.store.document_files import DocumentFiles
from services.kyc.store.documents import find_document, find_key


class ReadDocument:
    """Opens documents."""

    def __init__(self, uow: UnitOfWork, files: DocumentFiles, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._files = files
        self._clock = clock

    async def __call__(
        self, asker: Asker, user_id: str, document_id: str, reason: ReadReason
    ) -> tuple[Document, AsyncGenerator[bytes]]:
        """Record who looks and why, and return the document and its content, which is opened piece by piece.

        Raises: NotFound `document_not_found`, also for one that was removed; Unavailable. The content raises:
        InvariantBroken where it is not what was stored, Unavailable.
        """
        async with self._uow.begin() as tx:
            is_named = is_id(user_id) and is_id(document_id)
            document = await find_document(tx.connection, user_id, document_id) if is_named else None
            key = await find_key(tx.connection, document) if document else None
            if document is None or key is None:
                raise NotFound("document_not_found", "This customer has no such document.")
            facts = {
                "document_id": document_id,
                "kind": document.kind,
                "why": reason,
                "roles": list(asker.staff_roles),
            }
            resource = ("customer", user_id)
            await record(tx, asker, "document.read", at=self._clock(), resource=resource, facts=facts)
        return document, open_stream(key, document_id, self._files.read(document_id))
