"""A customer says who he is and asks to be verified."""

from libs.common.clock import Clock
from libs.common.contracts.topics import VERIFICATIONS
from libs.common.db.unit_of_work import UnitOfWork
from services.kyc.domain.application import read_application
from services.kyc.domain.verification import NEVER_APPLIED, Verification, move
from services.kyc.messages import verification_changed
from services.kyc.store.verifications import lock_verification, save_verification


class SubmitApplication:
    """Brings a verification into review. Idempotent by: user_id; a second application is refused, not stored."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, *, user_id: str, full_name: str, birth_date: str, country: str) -> Verification:
        """Store the application and return the verification, in review.

        Locks: the verification. Emits: VerificationChanged. Raises: Unprocessable `birth_date_invalid`,
        `birth_date_in_future`, `under_age`, `unknown_country`; Conflict `application_exists`; Unavailable.
        """
        now = self._clock()
        application = read_application(full_name=full_name, birth_date=birth_date, country=country, today=now.date())
        async with self._uow.begin() as tx:
            before = await lock_verification(tx.connection, user_id)
            state = before.state if before else NEVER_APPLIED
            verification = Verification(
                user_id=user_id,
                state=move(state, "apply"),
                application=application,
                submitted_at=now,
                decided_at=None,
                decided_by=None,
                reason="",
                changed_at=now,
            )
            await save_verification(tx.connection, verification, before=state.status, actor_id=user_id)
            tx.emit(VERIFICATIONS, user_id, verification_changed(verification))
        return verification
