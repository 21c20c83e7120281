"""A customer says who he is and asks to be verified."""

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.contracts.topics import VERIFICATIONS
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.http.idempotency import Once
from services.kyc.domain.application import read_application
from services.kyc.domain.decision import require_provided
from services.kyc.domain.verification import NEVER_APPLIED, Verification, move
from services.kyc.messages import verification_changed
from services.kyc.store.given_documents import find_given_kinds
from services.kyc.store.verifications import lock_verification, save_verification
from services.kyc.use_cases.wait_for_retry import require_waited


class SubmitApplication:
    """Brings a verification into review. Idempotent by: the request's key, and user_id: no second one is stored."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(
        self, once: Once[Verification], asker: Asker, *, full_name: str, birth_date: str, country: str
    ) -> Verification:
        """Store the application of whoever asks and return the verification, in review.

        Locks: the request's key, the verification. Emits: VerificationChanged. Raises: AnsweredBefore; Unprocessable
        `birth_date_invalid`, `birth_date_in_future`, `under_age`, `unknown_country`; Conflict `application_exists`,
        `retry_not_allowed`, `retry_too_soon`, `information_incomplete`; Unavailable.
        """
        user_id = asker.actor_id
        async with once.work(self._uow) as tx:
            now = self._clock()
            application = read_application(
                full_name=full_name, birth_date=birth_date, country=country, today=now.date()
            )
            before = await lock_verification(tx.connection, user_id)
            state = before.state if before else NEVER_APPLIED
            after = move(state, "apply")
            require_waited(before.retry_at if before else None, now)
            if before is not None and before.needs:
                given = await find_given_kinds(tx.connection, user_id, since=before.changed_at)
                require_provided(before.needs, given | {"application"})
            verification = Verification(
                user_id=user_id,
                state=after,
                application=application,
                submitted_at=now,
                decided_at=None,
                decided_by=None,
                reason="",
                changed_at=now,
            )
            await save_verification(tx.connection, verification, "apply", before=state.status, actor_id=user_id)
            tx.emit(VERIFICATIONS, user_id, verification_changed(verification))
            await record(tx, asker, "verification.apply", at=now, resource=("customer", user_id))
            tx.made(verification)
        return verification
