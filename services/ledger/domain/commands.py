"""What the ledger is told to do. Each command carries the whole transfer, so that nobody has to be asked.

- `TransferScreened` with verdict `approve` posts, `hold` reserves the money until its reasons are resolved, `block` is
  written down and moves nothing.
- `TransferBatchScreened` posts all its transfers or none.
- `HoldResolved` takes one reason from a hold (`release`) or ends it (`reject`); it may come before its hold.
"""

from typing import Final, TypeAlias

# tidy: allow impure-value-code: a message's frozen structs are the commands; a copy of them would only drift
from libs.common.contracts.fraud import HoldResolved, TransferBatchScreened, TransferScreened

# tidy: allow impure-value-code: the transfer's value types, shared by all who carry it
from libs.common.contracts.transfers import Leg, TransferCommand
from libs.common.errors import Unprocessable
from libs.common.money import ASSET_EXPONENTS, MAX_AMOUNT_MINOR

__all__ = [
    "BATCH_MAX",
    "LEGS_MAX",
    "Command",
    "HoldResolved",
    "Leg",
    "Source",
    "TransferBatchScreened",
    "TransferCommand",
    "TransferScreened",
    "require_sane",
    "transfers_in",
]

BATCH_MAX: Final = 1_000
"""Most transfers of one atomic batch."""
LEGS_MAX: Final = 100
"""Most legs of one transfer."""

Source: TypeAlias = TransferScreened | HoldResolved
"""What a journal record is made from: the message that decided this one transfer."""
Command: TypeAlias = TransferScreened | TransferBatchScreened | HoldResolved


def transfers_in(command: Command) -> int:
    """Return how many transfers a command concerns."""
    return len(command.screenings) if isinstance(command, TransferBatchScreened) else 1


def require_sane(command: TransferCommand) -> None:
    """Refuse what the gateway never sends and no record may hold: amounts out of bounds, foreign assets, no legs.

    Raises: Unprocessable, which parks the message that carries it.
    """
    if not 1 <= len(command.legs) <= LEGS_MAX:
        raise Unprocessable("legs_out_of_bounds", f"A transfer has 1 to {LEGS_MAX} legs.", legs=len(command.legs))
    for leg in command.legs:
        if not 0 < leg.amount_minor <= MAX_AMOUNT_MINOR:
            raise Unprocessable("amount_out_of_bounds", "An amount is 1 to 2^53-1.", amount_minor=leg.amount_minor)
        if leg.asset not in ASSET_EXPONENTS:
            raise Unprocessable("asset_unknown", "The ledger does not keep this asset.", asset=leg.asset)
