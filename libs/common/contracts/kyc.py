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


class DocumentShared(Message, frozen=True, gc=False, kw_only=True):
    """A customer has sent a document whose content others sent before: at most 20 of them, by their ids alone.

    That may be a household's bill, or one identity with several customers; who hears of it decides what it means.
    """

    TYPE: ClassVar[str] = "tallystick.kyc.document-shared.v1"
    document_id: str
    user_id: str
    other_user_ids: tuple[str, ...]
    occurred_at: str
