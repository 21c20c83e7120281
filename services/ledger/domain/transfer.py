"""A transfer as the ledger has decided it so far."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

# tidy: allow impure-value-code: a struct is made in a seventh of a dataclass's time, once a transfer
import msgspec

from services.ledger.domain.commands import Leg
from services.ledger.domain.fees import Fee

TransferStatus = Literal["posted", "held", "refused", "blocked", "voided"]
Resolver = Literal["", "caller", "fraud"]

NO_FACTS: Final[Mapping[str, int | str]] = {}


class Provenance(NamedTuple):
    """Fraud's decision that a transfer's later states inherit."""

    decision_id: str
    ruleset: int
    verdict: str


UNDECIDED: Final = Provenance("", 0, "")


@dataclass(frozen=True, slots=True)
class Settlement:
    """How far a hold was captured and a posting reversed. Amounts are by leg, in minor units.

    `legs_index` names the record that says what the legs are. `resolver` may end the hold (empty: it was posted at
    once), a caller's own ends by itself at `expires_at`. Its fees follow the schedule of the day it was held.
    `withheld` and `returned` list the fees so far, those returned below zero.
    """

    legs_index: int
    resolver: Resolver
    expires_at: str
    fee_schedule: int
    captured_minor: tuple[int, ...]
    reversed_minor: tuple[int, ...]
    withheld: tuple[Fee, ...]
    returned: tuple[Fee, ...]
    provenance: Provenance

    @property
    def fee_minor(self) -> int:
        """What the house has kept so far, over all legs."""
        return sum(fee.amount_minor for fee in (*self.withheld, *self.returned))


class Transfer(msgspec.Struct, gc=False):
    """One state of a transfer; a later state is another object with a higher version.

    `code` says why for `refused`, `blocked` and `voided`, `facts` are its public numbers. `reasons` is what fraud's
    hold waits for, and `legs` what was asked for. `journal_index` names the record that proves this state.
    `settlement` is there for what was held or reversed; `reverses` names the transfer that a reversal moves back, and
    `gave_back_minor` is how much of it, by that transfer's legs.
    `fee_minor` is what the house has kept of it so far, over all legs. `attempts` is how many tries of the unit of work
    it took to decide this state, see `CountAttempts`.
    """

    transfer_id: str
    kind: str
    status: TransferStatus
    version: int
    code: str
    reasons: tuple[str, ...]
    facts: Mapping[str, int | str]
    legs: tuple[Leg, ...]
    journal_index: int
    changed_at: str
    settlement: Settlement | None = None
    reverses: str = ""
    fee_minor: int = 0
    attempts: int = 1
    gave_back_minor: tuple[int, ...] = ()

    def remaining_minor(self, settlement: Settlement) -> tuple[int, ...]:
        """Return what its hold still reserves, by leg."""
        return tuple(
            leg.amount_minor - captured_minor
            for leg, captured_minor in zip(self.legs, settlement.captured_minor, strict=True)
        )
