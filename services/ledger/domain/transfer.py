"""A transfer as the ledger has decided it so far."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from services.ledger.domain.commands import Leg

TransferStatus = Literal["posted", "held", "refused", "blocked", "voided"]

NO_FACTS: Final[Mapping[str, int | str]] = {}


@dataclass(slots=True)
class Transfer:
    """One state of a transfer; a later state is another object with a higher version.

    `code` says why for `refused`, `blocked` and `voided`, `facts` are its public numbers. `reasons` is what a hold
    waits for, and `legs` what it will move. `journal_index` names the record that proves this state.
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
