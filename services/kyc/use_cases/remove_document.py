"""A customer takes a document back."""

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from libs.common.ids import is_id
from services.kyc.domain.documents import require_removable
from services.kyc.domain.verification import NEVER_APPLIED
from services.kyc.store.documents import find_document, remove_document
from services.kyc.store.verifications import lock_verification


class RemoveDocument:
    """Destroys the key of a document; its file goes within minutes. That there was one stays known."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, asker: Asker, document_id: str) -> None:
        """Remove a document of whoever asks. Idempotent by: document_id; a removed one is removed.

        Locks: the verification, so that nobody decides by a document while it goes. Raises: NotFound
        `document_not_found`, Conflict `document_in_use`, Unavailable.
        """
        user_id = asker.actor_id
        async with self._uow.begin() as tx:
            verification = await lock_verification(tx.connection, user_id)
            found = await find_document(tx.connection, user_id, document_id) if is_id(document_id) else None
            if found is None:
                raise NotFound("document_not_found", "There is no such document, or it is not yours.")
            if found.status == "removed":
                return
            require_removable(verification.state if verification else NEVER_APPLIED)
            now = self._clock()
            await remove_document(tx.connection, document_id, now)
            facts = {"document_id": document_id, "kind": found.kind}
            await record(tx, asker, "document.remove", at=now, resource=("customer", user_id), facts=facts)
