"""The journal's records: canonical JSON (RFC 8785) by construction.

The fields stand in their sorted order and hold only integers, plain strings and lists of them, so the encoder's output
is the one canonical spelling. Fields with a default came later: they are left out while they have it, so that a record
reads the same whatever the ledger has learned since. Free text and personal data never enter: a record is for ever, and
its receipt goes to customers.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from services.ledger.domain.account import AccountStatus
from services.ledger.domain.commands import Leg
from services.ledger.domain.fees import Fee
from services.ledger.domain.run import STATUS_OF
from services.ledger.domain.transfer import Resolver, TransferStatus

TRANSFER_KIND: Final = "transfer."
STATUS_OF_KIND: Final = {TRANSFER_KIND + happened: status for happened, status in STATUS_OF.items()}
COMMAND_REFUSED: Final = "command.refused"
ACCOUNT_CHANGED: Final = "account.changed"
FEES_PUBLISHED: Final = "fees.published"
FINDING_RELEASED: Final = "finding.released"
BALANCE_REPAIRED: Final = "balance.repaired"


class RecordLeg(msgspec.Struct, frozen=True, gc=False):
    """One movement, as the record names it."""

    amount_minor: int
    asset: str
    destination_account_id: str
    source_account_id: str


class RecordFee(msgspec.Struct, frozen=True, gc=False):
    """What the house withheld from leg number `leg` of this record; below zero, what it gave back."""

    account_id: str
    amount_minor: int
    leg: int


class TransferRecord(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One state of one transfer and what decided it.

    `kind` is `transfer.` and what happened: `posted` moved the legs, `held` reserved them, `captured` moved them out of
    a reservation that goes on, `voided` gave them back, `refused` and `blocked` did nothing, `reversed` says that a
    reversal, which has a record of its own, has moved something back. A hold that was captured in part may also end
    with `posted` and no legs. `verdict` is fraud's (`approve`, `hold`, `block`) or, for a resolved hold, `release` or
    `reject`; what follows from a decision carries it along. `code` is the public reason of a no; `reasons` is what a
    hold still waits for. `time` never goes back from one record to the next. `captured_minor` and `reversed_minor` are
    the sums so far, by leg of the hold or of the transfer; `fee_minor` is what the house has kept of it so far.
    """

    actor_id: str
    captured_minor: tuple[int, ...] = ()
    code: str
    command_id: str = ""
    decision_id: str
    expires_at: str = ""
    fee_minor: int = 0
    fee_schedule: int = 0
    fees: list[RecordFee] = []
    index: int
    kind: str
    legs: list[RecordLeg]
    memo_commitment: str
    reasons: tuple[str, ...]
    requested_at: str
    resolver: Resolver = ""
    reversed_minor: tuple[int, ...] = ()
    reverses: str = ""
    ruleset: int
    shard: int
    time: str
    transfer_id: str
    transfer_kind: str
    verdict: str
    version: int

    @property
    def status(self) -> TransferStatus:
        """The transfer's state from this record on."""
        return STATUS_OF_KIND[self.kind]


class CommandRecord(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A command that was refused. `subject_id` is the transfer or account it was about."""

    actor_id: str
    code: str
    command: str
    command_id: str
    index: int
    kind: str
    requested_at: str
    shard: int
    subject_id: str
    time: str


class AccountRecord(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What an account may do from here on."""

    account_id: str
    account_status: AccountStatus
    actor_id: str
    command_id: str
    index: int
    kind: str
    maximum_minor: int
    minimum_minor: int
    reason_commitment: str
    requested_at: str
    shard: int
    time: str


class FeesRecord(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The fee schedule in force from here on; `rules_sha256` is hex, of its canonical text."""

    actor_id: str
    command_id: str
    index: int
    kind: str
    requested_at: str
    rules_sha256: str
    shard: int
    time: str
    version: int


class ReleaseRecord(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An administrator let the shard go on in spite of what a verification found.

    `finding_digest` stands for the damage (hex SHA-256), `reason_commitment` for a salt and the reason he gave.
    """

    actor_id: str
    finding_digest: str
    finding_id: str
    index: int
    kind: str
    reason_commitment: str
    shard: int
    time: str


class RepairedField(msgspec.Struct, frozen=True, gc=False):
    """A field of an account's row that was not what its records make it: both values, as text."""

    computed: str
    field: str
    stored: str


class RepairRecord(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An account's row was set back to what the records before this one prove; to them it adds nothing.

    `actor_id` is empty when nobody gave a name; `reason_commitment` is hex SHA-256 of a salt and the reason.
    """

    account_id: str
    actor_id: str
    fields: list[RepairedField]
    index: int
    kind: str
    reason_commitment: str
    shard: int
    time: str


JournalRecord: TypeAlias = TransferRecord | CommandRecord | AccountRecord | FeesRecord | ReleaseRecord | RepairRecord

_encode = msgspec.json.Encoder().encode
_decode_transfer: Final = msgspec.json.Decoder(TransferRecord, strict=True).decode
_decode_command: Final = msgspec.json.Decoder(CommandRecord, strict=True).decode
_decode_release: Final = msgspec.json.Decoder(ReleaseRecord, strict=True).decode
_decode_repair: Final = msgspec.json.Decoder(RepairRecord, strict=True).decode
_decode_account: Final = msgspec.json.Decoder(AccountRecord, strict=True).decode
_decode_fees: Final = msgspec.json.Decoder(FeesRecord, strict=True).decode


def encode_record(record: JournalRecord) -> bytes:
    """Return the record's canonical text."""
    return _encode(record)


def decode_record(text: bytes, kind: str) -> JournalRecord:
    """Read a stored record of this kind. Raises: msgspec.MsgspecError for what the ledger never wrote."""
    if kind == COMMAND_REFUSED:
        return _decode_command(text)
    if kind == ACCOUNT_CHANGED:
        return _decode_account(text)
    if kind == FEES_PUBLISHED:
        return _decode_fees(text)
    if kind == FINDING_RELEASED:
        return _decode_release(text)
    if kind == BALANCE_REPAIRED:
        return _decode_repair(text)
    return _decode_transfer(text)


def decode_transfer_record(text: bytes) -> TransferRecord:
    """Read a stored record about a transfer. Raises: msgspec.MsgspecError for what the ledger never wrote."""
    return _decode_transfer(text)


def record_legs(legs: Sequence[Leg]) -> list[RecordLeg]:
    """Return the legs as the record names them."""
    return [RecordLeg(leg.amount_minor, leg.asset, leg.destination_account_id, leg.source_account_id) for leg in legs]


def record_fees(fees: Sequence[Fee]) -> list[RecordFee]:
    """Return the fees as the record names them."""
    return [RecordFee(fee.account_id, fee.amount_minor, fee.leg) for fee in fees]


def command_legs(legs: Sequence[RecordLeg]) -> tuple[Leg, ...]:
    """Return a record's legs as the engine moves them; whom they pay was checked when the record was written."""
    return tuple(
        Leg(leg.source_account_id, leg.destination_account_id, leg.amount_minor, leg.asset, "") for leg in legs
    )


def command_fees(fees: Sequence[RecordFee]) -> tuple[Fee, ...]:
    """Return a record's fees as the engine counts them."""
    return tuple(Fee(fee.leg, fee.account_id, fee.amount_minor) for fee in fees)
