"""What the bus is told of a verification: its whole state, and nothing of the person."""

from libs.common.clock import to_rfc3339
from libs.common.contracts.kyc import VerificationChanged
from services.kyc.domain.verification import Verification, told_status


def verification_changed(verification: Verification) -> VerificationChanged:
    """Return the verification's present state as a message."""
    return VerificationChanged(
        user_id=verification.user_id,
        status=told_status(verification.state.status),
        tier=verification.state.tier,
        version=verification.state.version,
        occurred_at=to_rfc3339(verification.changed_at),
    )
