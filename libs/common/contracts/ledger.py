"""What the ledger says has happened."""

from typing import ClassVar, Literal

from libs.common.contracts.base import Message

TransferStatus = Literal["posted", "held", "refused", "blocked", "voided"]
FINAL_STATUSES: frozenset[str] = frozenset({"posted", "refused", "blocked", "voided"})


class TransferChanged(Message, frozen=True, gc=False, kw_only=True):
    """A transfer reached a state. `version` counts its states from 1; drop what is not newer than what you have.

    `code` says why for `refused`, `blocked` and `voided`; `facts` are its public numbers. `reasons` is what a hold
    waits for. (`shard`, `journal_index`) names the journal record that proves it. `occurred_at` is RFC 3339 UTC.
    """

    TYPE: ClassVar[str] = "tallystick.ledger.transfer-changed.v1"
    transfer_id: str
    status: TransferStatus
    version: int
    code: str
    reasons: tuple[str, ...]
    facts: dict[str, int | str]
    shard: int
    journal_index: int
    occurred_at: str


class LedgerAccountOpened(Message, frozen=True, gc=False, kw_only=True):
    """The ledger knows this account and will post to it."""

    TYPE: ClassVar[str] = "tallystick.ledger.account-opened.v1"
    account_id: str
    owner_id: str
    asset: str
    occurred_at: str


class CheckpointPublished(Message, frozen=True, gc=False, kw_only=True):
    """A signed tree head (C2SP tlog-checkpoint in a C2SP signed note), at most one a second, newest state only."""

    TYPE: ClassVar[str] = "tallystick.ledger.checkpoint-published.v1"
    shard: int
    size: int
    note: str
