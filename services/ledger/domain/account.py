"""An account as the engine sees it: what it holds, what is promised, between what it must stay."""

from typing import Final, Literal

# tidy: allow impure-value-code: a struct is copied in a quarter of the time, twice a transfer
import msgspec

# tidy: allow impure-value-code: as above
from msgspec.structs import replace

from libs.common.money import MAX_AMOUNT_MINOR

AccountStatus = Literal["active", "frozen", "suspended", "closed"]

SYSTEM_OWNER: Final = ""
"""The owner of system accounts, which no customer can be."""


class Account(msgspec.Struct, gc=False):
    """State of one account, in minor units of its asset.

    `last_seq` counts its entries from 1; `version` counts all its changes, reservations too. Available is
    posted - pending_out - minimum: what is reserved for a hold cannot be spent twice. `frozen` debits nothing,
    `suspended` neither debits nor credits.
    """

    account_id: str
    owner_id: str
    asset: str
    status: AccountStatus
    posted_minor: int
    pending_in_minor: int
    pending_out_minor: int
    minimum_minor: int
    last_seq: int
    version: int
    maximum_minor: int = MAX_AMOUNT_MINOR

    @property
    def available_minor(self) -> int:
        """What the account can pay now."""
        return self.posted_minor - self.pending_out_minor - self.minimum_minor

    @property
    def is_empty(self) -> bool:
        """Whether it holds nothing and nothing is pending on it."""
        return self.posted_minor == self.pending_in_minor == self.pending_out_minor == 0

    def copy(self) -> "Account":
        """Return the same state, to be changed by one run of the engine."""
        return replace(self)  # in half the time of copy.copy, which first asks what it was given
