"""What accounts says of customers and of their accounts: whole states, newest version wins."""

from typing import ClassVar, Literal

from libs.common.contracts.base import Message

AccountStatus = Literal["opening", "active", "closed"]
CustomerStatus = Literal["active", "closed"]
Profile = Literal["retail", "business"]


class AccountChanged(Message, frozen=True, gc=False, kw_only=True):
    """An account's state. `opening` asks the ledger to open it; `active` says that it did."""

    TYPE: ClassVar[str] = "tallystick.accounts.account-changed.v1"
    account_id: str
    account_number: str
    owner_id: str
    asset: str
    status: AccountStatus
    version: int
    occurred_at: str


class CustomerChanged(Message, frozen=True, gc=False, kw_only=True):
    """A customer's state as others need it: which limit profile he has. No personal data."""

    TYPE: ClassVar[str] = "tallystick.accounts.customer-changed.v1"
    user_id: str
    profile: Profile
    status: CustomerStatus
    version: int
    occurred_at: str
