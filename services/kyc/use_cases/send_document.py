"""A customer sends a document that proves who he is: looked into, written anew, sealed and kept, piece by piece."""

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.kyc import DocumentShared
from libs.common.contracts.topics import KYC_SIGNALS
from libs.common.crash_points import reached
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.errors import Conflict, Unavailable, Unprocessable
from libs.common.http.idempotency import Once
from libs.common.ids import new_id
from libs.common.personal.sealed_stream import seal_stream
from libs.common.personal.sealing import sealer_of
from services.kyc.domain.documents import Document, DocumentKind, MediaType, free_place
from services.kyc.inspection.document_inspector import DocumentInspector, Inspection, Looked
from services.kyc.metrics import DOCUMENTS_REFUSED, DOCUMENTS_SHARED, DOCUMENTS_STORED
from services.kyc.store.document_file_rows import begin_file, condemn_files, keep_file
from services.kyc.store.document_files import DocumentFiles
from services.kyc.store.documents import insert_document, lock_holder, others_with, taken_places
from services.kyc.store.verifications import lock_verification

_KEY_BYTES: Final = 32
_OTHERS_MAX: Final = 20
"""Whom one signal names; one content with more customers says nothing new."""


class SendDocument:
    """Stores documents. The file is written first, and nobody sees it before its row has committed."""

    def __init__(self, uow: UnitOfWork, files: DocumentFiles, inspector: DocumentInspector, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._files = files
        self._inspector = inspector
        self._clock = clock

    async def __call__(
        self,
        once_of: Callable[[bytes], Once[Document]],
        asker: Asker,
        *,
        kind: DocumentKind,
        media_type: MediaType,
        body: AsyncIterator[bytes],
    ) -> Document:
        """Store a document of whoever asks, and return what is known of it.

        `once_of` makes the request of the SHA-256 of what was sent. Nothing is read on once it is clear that it will
        not be taken; what was written of a document that is not stored is swept.

        Idempotent by: the request's key. Locks: the key, the verification, the customer's documents, the content, in
        this order. Emits: DocumentShared when another customer has sent the same. Raises: Unprocessable, see
        `DOCUMENT_REFUSALS`; AnsweredBefore; Conflict `too_many_documents`, `customer_erased`; Unavailable.
        """
        try:
            async with self._inspector.inspecting(media_type) as inspection:
                digest = await _feed(inspection, body)
                looked = await inspection.verdict()
                document_id, key = new_id(), os.urandom(_KEY_BYTES)
                async with self._file(document_id):
                    await self._files.put(document_id, seal_stream(key, document_id, inspection.content()))
                    reached("kyc.document_file_written")
                    draft = _Draft(document_id, kind, media_type, looked, digest, key)
                    document = await self._keep(once_of(digest), asker, draft)
        except (Unprocessable, Conflict) as refusal:
            DOCUMENTS_REFUSED.labels(refusal.code).inc()
            raise
        DOCUMENTS_STORED.labels(kind).inc()
        return document

    @asynccontextmanager
    async def _file(self, document_id: str) -> AsyncIterator[None]:
        """Write down that there will be a file, and condemn it if nothing comes of it."""
        async with self._uow.begin() as tx:
            await begin_file(tx.connection, document_id, self._clock())
        try:
            yield
        except BaseException:
            with suppress(Unavailable):  # it is swept later, then
                async with self._uow.begin() as tx:
                    await condemn_files(tx.connection, [document_id], self._clock())
            raise

    async def _keep(self, once: Once[Document], asker: Asker, draft: "_Draft") -> Document:
        """Store what is known of a document whose file is whole."""
        user_id = asker.actor_id
        async with once.work(self._uow) as tx:
            # As everybody who decides by documents: what he has counted stays so until he commits, and what was sent
            # has its moment behind his.
            await lock_verification(tx.connection, user_id)
            now = self._clock()
            document = draft.document(user_id, now)
            holder_key = await lock_holder(tx.connection, user_id, now)
            place = free_place(await taken_places(tx.connection, user_id))
            await keep_file(tx.connection, document.document_id, now)
            content_hash = sealer_of(tx.connection).search_hash(f"document|{draft.digest.hex()}")
            await self._tell_of_others(tx, document, content_hash)
            await insert_document(
                tx.connection, document, place=place, content_hash=content_hash, holder_key=holder_key, key=draft.key
            )
            facts = {"document_id": document.document_id, "kind": document.kind}
            await record(tx, asker, "document.send", at=now, resource=("customer", user_id), facts=facts)
            tx.made(document)
        return document

    async def _tell_of_others(self, tx: Transaction, document: Document, content_hash: bytes) -> None:
        others = await others_with(tx.connection, content_hash, document.user_id, _OTHERS_MAX)
        if others:
            message = DocumentShared(
                document_id=document.document_id,
                user_id=document.user_id,
                other_user_ids=tuple(others),
                occurred_at=to_rfc3339(document.created_at),
            )
            tx.emit(KYC_SIGNALS, document.user_id, message)
            DOCUMENTS_SHARED.inc()


@dataclass(frozen=True, slots=True)
class _Draft:
    """A document whose file is written, and which nobody knows yet."""

    document_id: str
    kind: DocumentKind
    media_type: MediaType
    looked: Looked
    digest: bytes
    key: bytes

    def document(self, user_id: str, now: datetime) -> Document:
        return Document(
            document_id=self.document_id,
            user_id=user_id,
            kind=self.kind,
            status="stored",
            content_type=self.media_type,
            bytes=self.looked.bytes,
            pages=self.looked.pages,
            created_at=now,
            removed_at=None,
        )


async def _feed(inspection: Inspection, body: AsyncIterator[bytes]) -> bytes:
    """Hand the document on as it comes, and return the SHA-256 of what was sent."""
    digest = hashlib.sha256()
    async for piece in body:
        digest.update(piece)
        await inspection.feed(piece)
    return digest.digest()
