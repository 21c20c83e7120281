"""What the ledger is told to do. Each command carries all it needs, so that nobody has to be asked.

Fraud's word about a transfer, which carries the whole transfer:

- `TransferScreened` with verdict `approve` posts (or holds, if the caller asked for a hold), `hold` reserves the money
  until its reasons are resolved, `block` is written down and moves nothing.
- `TransferBatchScreened` posts all its transfers or none.
- `HoldResolved` takes one reason from a hold (`release`) or ends it (`reject`); it may come before its hold.

A caller's or staff's word about what is there already: `CaptureTransfer`, `VoidTransfer`, `ReverseTransfer`,
`ChangeAccount`, `PublishFeeSchedule`. The first three come by way of fraud, which may make a capture or a reversal a
`BlockedCommand`. The ledger's own clock adds `ExpireHold`.
"""

from typing import Final, NamedTuple, TypeAlias

# tidy: allow impure-value-code: a message's frozen structs are the commands; a copy of them would only drift
from libs.common.contracts.fraud import HoldResolved, TransferBatchScreened, TransferScreened

# tidy: allow impure-value-code: a message's frozen structs are the commands; a copy of them would only drift
from libs.common.contracts.gateway import (
    AskedOfLedger,
    CaptureTransfer,
    ChangeAccount,
    FeeRule,
    PublishFeeSchedule,
    ReverseTransfer,
    VoidTransfer,
)

# tidy: allow impure-value-code: the transfer's value types, shared by all who carry it
from libs.common.contracts.transfers import HOLD_SECONDS_MAX, Leg, TransferCommand
from libs.common.errors import Unprocessable
from libs.common.money import ASSET_EXPONENTS, MAX_AMOUNT_MINOR

__all__ = [
    "BATCH_MAX",
    "LEGS_MAX",
    "AskedOfLedger",
    "BlockedCommand",
    "CaptureTransfer",
    "ChangeAccount",
    "Command",
    "ExpireHold",
    "FeeRule",
    "HoldResolved",
    "LedgerCommand",
    "Leg",
    "PublishFeeSchedule",
    "ReverseTransfer",
    "Screening",
    "Source",
    "TransferBatchScreened",
    "TransferCommand",
    "TransferScreened",
    "VoidTransfer",
    "require_sane",
    "require_sane_amounts",
    "transfers_in",
]

BATCH_MAX: Final = 1_000
"""Most transfers of one atomic batch."""
LEGS_MAX: Final = 100
"""Most legs of one transfer."""


class ExpireHold(NamedTuple):
    """The time of a caller's hold is up. It has its effect once: a hold that has ended is left alone.

    It is nobody's word and no stored command; `requested_at` is when the hold was to end.
    """

    transfer_id: str
    requested_at: str
    actor_id: str = ""
    command_id: str = ""


class BlockedCommand(NamedTuple):
    """A capture or a reversal that fraud forbids: it is recorded as refused with this code, and moves nothing."""

    command: CaptureTransfer | ReverseTransfer
    code: str


Screening: TypeAlias = TransferScreened | HoldResolved
"""Fraud's word about one transfer."""
LedgerCommand: TypeAlias = (
    CaptureTransfer | VoidTransfer | ReverseTransfer | ChangeAccount | PublishFeeSchedule | ExpireHold
)
"""A word about what the ledger holds already."""
Source: TypeAlias = Screening | LedgerCommand
"""What a journal record is made from: the message that decided it."""
Command: TypeAlias = Source | TransferBatchScreened | BlockedCommand


def transfers_in(command: Command) -> int:
    """Return how many transfers a command concerns."""
    return len(command.screenings) if isinstance(command, TransferBatchScreened) else 1


def require_sane(command: TransferCommand) -> None:
    """Refuse what the gateway never sends and no record may hold: amounts out of bounds, foreign assets, no legs.

    Raises: Unprocessable, which parks the message that carries it.
    """
    if not 1 <= len(command.legs) <= LEGS_MAX:
        raise Unprocessable("legs_out_of_bounds", f"A transfer has 1 to {LEGS_MAX} legs.", legs=len(command.legs))
    if not 0 <= command.hold_seconds <= HOLD_SECONDS_MAX:
        raise Unprocessable(
            "hold_too_long", f"A hold lasts at most {HOLD_SECONDS_MAX} s.", seconds=command.hold_seconds
        )
    for leg in command.legs:
        if not 0 < leg.amount_minor <= MAX_AMOUNT_MINOR:
            raise Unprocessable("amount_out_of_bounds", "An amount is 1 to 2^53-1.", amount_minor=leg.amount_minor)
        if leg.asset not in ASSET_EXPONENTS:
            raise Unprocessable("asset_unknown", "The ledger does not keep this asset.", asset=leg.asset)


def require_sane_amounts(amounts_minor: tuple[int, ...]) -> None:
    """Refuse amounts by leg that the gateway never sends. Raises: Unprocessable."""
    if len(amounts_minor) > LEGS_MAX or not all(0 <= amount <= MAX_AMOUNT_MINOR for amount in amounts_minor):
        raise Unprocessable("amount_out_of_bounds", f"Amounts are 0 to 2^53-1, of at most {LEGS_MAX} legs.")
