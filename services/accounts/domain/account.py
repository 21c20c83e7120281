"""An account as accounts knows it: whose it is and whether the ledger has opened it. Balances are the ledger's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from libs.common.errors import Rejected, Unprocessable
from libs.common.money import ASSET_EXPONENTS

AccountStatus = Literal["opening", "active", "closed"]
LedgerStatus = Literal["active", "frozen", "suspended", "closed"]
ShownStatus = Literal["opening", "active", "frozen", "suspended", "closed"]

_FIRST_PATIENCE: Final = timedelta(seconds=2)
_LONGEST_PATIENCE: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Account:
    """An account as stored. `opened_at` is when the ledger's word arrived; `version` counts states from 1.

    `ledger_status` is what the ledger lets it do. `name` and `metadata` are the owner's own words; nobody is told them.
    """

    account_id: str
    account_number: str
    owner_id: str
    asset: str
    status: AccountStatus
    is_primary: bool
    version: int
    created_at: datetime
    opened_at: datetime | None
    changed_at: datetime
    ledger_status: LedgerStatus = "active"
    name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown_status(self) -> ShownStatus:
        """Return the one status that its owner is shown: the ledger's as soon as it has the account."""
        return self.ledger_status if self.status == "active" else self.status

    @property
    def is_closed(self) -> bool:
        """Tell whether it is closed, here or in the ledger, whose word may come before that it was opened."""
        return "closed" in (self.status, self.ledger_status)


def require_known_asset(asset: str) -> None:
    """Do nothing for an asset we keep. Raises: Unprocessable `unknown_asset`."""
    if asset not in ASSET_EXPONENTS:
        raise Unprocessable("unknown_asset", "Use one of the known assets.", known=sorted(ASSET_EXPONENTS))


def require_room(accounts: int, most: int) -> None:
    """Let a customer with so many open accounts of an asset have one more. Raises: Rejected `account_limit_reached`."""
    if accounts >= most:
        raise Rejected(
            "account_limit_reached", f"You have {accounts} accounts of this asset; close one first.", limit_count=most
        )


def ask_again_after(asks: int) -> timedelta:
    """Return how long to wait for the ledger after having asked `asks` times, from 1: 2 s, doubling, at most 2 min."""
    # 2^6 × 2 s is beyond the longest patience already; a larger exponent would only overflow.
    return min(_FIRST_PATIENCE * (1 << min(asks - 1, 6)), _LONGEST_PATIENCE)
