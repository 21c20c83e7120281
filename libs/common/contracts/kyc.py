"""What kyc says of a customer's verification: the whole state, newest version wins."""

from typing import ClassVar, Literal

from libs.common.contracts.base import Message

VerificationStatus = Literal["none", "in_review", "needs_info", "approved", "suspended", "rejected"]


class VerificationChanged(Message, frozen=True, gc=False, kw_only=True):
    """A customer's KYC state. `tier` 0 sends nothing and receives held; 1 and above have limits of their own."""

    TYPE: ClassVar[str] = "tallystick.kyc.verification-changed.v1"
    user_id: str
    status: VerificationStatus
    tier: int
    version: int
    occurred_at: str
