"""A reviewer reads what an applicant said of himself: nobody does without a reason, and each time is recorded."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.kyc.domain.decision import Dossier
from services.kyc.domain.queued_review import PastMove
from services.kyc.domain.review import Approval
from services.kyc.domain.verification import Verification
from services.kyc.store.documents import count_document_changes
from services.kyc.store.given_documents import find_given_kinds
from services.kyc.store.reviews import find_approvals, read_past_moves
from services.kyc.store.verifications import lock_applicant

_MOVES_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Applicant:
    """A verification, the kinds of documents given, approvals that wait for another, and moves, the latest first."""

    verification: Verification
    documents_version: int
    given: Collection[str]
    approvals: Sequence[Approval]
    moves: Sequence[PastMove]


class ReadApplicant:
    """Shows an applicant to a reviewer."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, user_id: str, asker: Asker, *, why: str) -> Applicant:
        """Record who reads about whom and why, and return it once that is durable.

        Raises: NotFound `application_not_found`, Unavailable.
        """
        async with self._uow.begin() as tx:
            verification = await lock_applicant(tx.connection, user_id)
            documents_version = await count_document_changes(tx.connection, user_id)
            present = Dossier(verification.state.version, documents_version)
            approvals = await find_approvals(tx.connection, user_id, present)
            given = await find_given_kinds(tx.connection, user_id)
            moves = await read_past_moves(tx.connection, user_id, _MOVES_MAX)
            facts = {"roles": list(asker.staff_roles), "why": why}
            resource = ("customer", user_id)
            await record(tx, asker, "verification.read_applicant", at=self._clock(), resource=resource, facts=facts)
        return Applicant(verification, documents_version, given, approvals, moves)
