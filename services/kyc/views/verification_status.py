"""What a customer is told of his verification."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from services.kyc.domain.rejection import told_code
from services.kyc.domain.retry import is_too_soon
from services.kyc.domain.verification import (
    NEVER_APPLIED,
    PHASES,
    Application,
    NextAction,
    Phase,
    State,
    Verification,
    can_retry,
    next_action,
)
from services.kyc.store.verifications import find_verification


@dataclass(frozen=True, slots=True)
class VerificationStatus:
    """Where a verification stands and what comes next. `since` is empty for somebody who never applied.

    `needs` is what he was asked for, `rejection_code` why he was turned down, where he may know. `retry_at` is from
    when on he may ask again, also if that is past; empty if there is nothing to wait for.
    """

    state: State
    phase: Phase
    next_action: NextAction
    needs: Sequence[str]
    rejection_code: str
    can_retry: bool
    retry_at: datetime | None
    since: datetime | None


def status_of(verification: Verification | None, now: datetime) -> VerificationStatus:
    """Return what to tell now about a verification, or about nobody's."""
    state = verification.state if verification else NEVER_APPLIED
    retry_at = verification.retry_at if verification else None
    return VerificationStatus(
        state=state,
        phase=PHASES[state.status],
        next_action=_next_action(state, retry_at, now),
        needs=verification.needs if verification else (),
        rejection_code=told_code(verification.rejection_code) if verification else "",
        can_retry=can_retry(state),
        retry_at=retry_at,
        since=verification.changed_at if verification else None,
    )


def _next_action(state: State, retry_at: datetime | None, now: datetime) -> NextAction:
    following = next_action(state)
    return "wait" if following == "apply" and is_too_soon(retry_at, now) else following


class VerificationStatusView:
    """Looks a customer's verification up."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it reads with."""
        self._uow = uow
        self._clock = clock

    async def of(self, user_id: str) -> VerificationStatus:
        """Return the customer's status. Raises: Unavailable."""
        async with self._uow.begin() as tx:
            return status_of(await find_verification(tx.connection, user_id), self._clock())

    async def application_of(self, user_id: str) -> Application:
        """Return what the customer last applied with. Raises: NotFound `application_not_found`, Unavailable."""
        async with self._uow.begin() as tx:
            verification = await find_verification(tx.connection, user_id)
        if verification is None or verification.application is None:
            raise NotFound("application_not_found", "Nobody with this id has applied.")
        return verification.application
