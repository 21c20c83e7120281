"""What the ledger says has happened."""

from typing import ClassVar, Literal

from libs.common.contracts.base import Message

TransferStatus = Literal["posted", "held", "refused", "blocked", "voided"]
FINAL_STATUSES: frozenset[str] = frozenset({"posted", "refused", "blocked", "voided"})


class TransferChanged(Message, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A transfer reached a state. `version` counts its states from 1; drop what is not newer than what you have.

    `code` says why for `refused`, `blocked` and `voided`; `facts` are its public numbers. `reasons` is what a hold
    waits for. (`shard`, `journal_index`) names the journal record that proves it. `occurred_at` is RFC 3339 UTC.

    `resolver` says who ends a hold: `caller` or `fraud`; empty for what was never held. A caller's hold ends by itself
    at `expires_at`. `captured_minor` and `reversed_minor` are by leg, empty while nothing was captured or reversed.
    `fee_minor` is what was withheld from the payees, less what was given back. `reverses` is set for a reversal: the
    transfer whose money it moves back; posted, it gave back `gave_back_minor`, by leg of that transfer. `attempts` is
    how many tries it took the ledger to decide this state.
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
    resolver: Literal["", "caller", "fraud"] = ""
    expires_at: str = ""
    captured_minor: tuple[int, ...] = ()
    reversed_minor: tuple[int, ...] = ()
    fee_minor: int = 0
    reverses: str = ""
    gave_back_minor: tuple[int, ...] = ()
    attempts: int = 1


class CommandDecided(Message, frozen=True, gc=False, kw_only=True):
    """The ledger has done, or refused, what a command asked: a capture, a void, a change of an account.

    `subject_id` is the transfer or the account. `code` and `facts` say why it was refused. (`shard`, `journal_index`)
    names the record that proves it. A command that is sent again gets the same answer.
    """

    TYPE: ClassVar[str] = "tallystick.ledger.command-decided.v1"
    command_id: str
    subject_id: str
    status: Literal["done", "refused"]
    code: str
    facts: dict[str, int | str]
    shard: int
    journal_index: int
    occurred_at: str


class LedgerAccountChanged(Message, frozen=True, gc=False, kw_only=True):
    """What an account may do was changed by staff. `journal_index` grows: drop what is not newer than what you have."""

    TYPE: ClassVar[str] = "tallystick.ledger.account-changed.v1"
    account_id: str
    status: Literal["active", "frozen", "suspended", "closed"]
    minimum_minor: int
    maximum_minor: int
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


class AssetAdded(Message, frozen=True, gc=False, kw_only=True):
    """The ledger keeps this asset. It is said again all the time; an asset's exponent never changes.

    `exponent` is how many decimal digits the minor unit has, 0 to 18.
    """

    TYPE: ClassVar[str] = "tallystick.ledger.asset-added.v1"
    code: str
    exponent: int
    occurred_at: str


class CheckpointPublished(Message, frozen=True, gc=False, kw_only=True):
    """A signed tree head (C2SP tlog-checkpoint in a C2SP signed note), at most one a second, newest state only."""

    TYPE: ClassVar[str] = "tallystick.ledger.checkpoint-published.v1"
    shard: int
    size: int
    note: str


class LedgerIntegrityBroken(Message, frozen=True, gc=False, kw_only=True):
    """A verification found that something was changed behind the ledger's back; the shard posts nothing until released.

    `kind` says what (`record_altered`, `balance_altered`, `tail_cut` …), `table` and `row` where. Told again with each
    verification while the shard is halted, for those who were not there. `occurred_at` is RFC 3339 UTC.
    """

    TYPE: ClassVar[str] = "tallystick.ledger.integrity-broken.v1"
    shard: int
    finding_id: str
    kind: str
    table: str
    row: str
    occurred_at: str


class LedgerReleased(Message, frozen=True, gc=False, kw_only=True):
    """An administrator released a finding; the record at `journal_index` proves who and why.

    The shard goes on once `open_findings` is 0.
    """

    TYPE: ClassVar[str] = "tallystick.ledger.released.v1"
    shard: int
    finding_id: str
    open_findings: int
    journal_index: int
    occurred_at: str
