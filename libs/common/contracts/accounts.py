"""What accounts says of customers and accounts (whole states, newest version wins), and which credentials end."""

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


class CredentialsRevoked(Message, frozen=True, gc=False, kw_only=True):
    """What proved who a user is until now proves it no more: whatever was issued up to `occurred_at`.

    `session_id` narrows it to what followed from one log-in, `key_id` to one API key. With both empty it is everything
    of the user's: his access tokens end, and what his API keys may do is asked again.
    """

    TYPE: ClassVar[str] = "tallystick.accounts.credentials-revoked.v1"
    user_id: str
    session_id: str
    key_id: str
    occurred_at: str


class CustomerErased(Message, frozen=True, gc=False, kw_only=True):
    """What is known of the person behind this id is to be destroyed, wherever it is kept."""

    TYPE: ClassVar[str] = "tallystick.accounts.customer-erased.v1"
    user_id: str
    occurred_at: str
