"""The journal's record: canonical JSON (RFC 8785) by construction.

The fields stand in their sorted order and hold only integers, plain strings and lists of them, so the encoder's output
is the one canonical spelling. Free text and personal data never enter: a record is for ever, and its receipt goes to
customers.
"""

from collections.abc import Sequence
from typing import Final, cast

import msgspec

from services.ledger.domain.commands import Leg
from services.ledger.domain.transfer import TransferStatus

KIND_PREFIX: Final = "transfer."


class RecordLeg(msgspec.Struct, frozen=True, gc=False):
    """One movement, as the record names it."""

    amount_minor: int
    asset: str
    destination_account_id: str
    source_account_id: str


class JournalRecord(msgspec.Struct, frozen=True, gc=False):
    """One state of one transfer and what decided it.

    `kind` is `transfer.` and the state. `verdict` is fraud's (`approve`, `hold`, `block`) or, for a resolved hold,
    `release` or `reject`. `code` is the public reason of a no; `reasons` is what a hold still waits for. `time` never
    goes back from one record to the next.
    """

    actor_id: str
    code: str
    decision_id: str
    index: int
    kind: str
    legs: list[RecordLeg]
    memo_commitment: str
    reasons: tuple[str, ...]
    requested_at: str
    ruleset: int
    shard: int
    time: str
    transfer_id: str
    transfer_kind: str
    verdict: str
    version: int

    @property
    def status(self) -> TransferStatus:
        """The transfer's state, without the prefix."""
        return cast("TransferStatus", self.kind.removeprefix(KIND_PREFIX))


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(JournalRecord, strict=True).decode


def encode_record(record: JournalRecord) -> bytes:
    """Return the record's canonical text."""
    return _encode(record)


def decode_record(text: bytes) -> JournalRecord:
    """Read a stored record. Raises: msgspec.MsgspecError for what the ledger never wrote."""
    return _decode(text)


def record_legs(legs: Sequence[Leg]) -> list[RecordLeg]:
    """Return the legs as the record names them."""
    return [RecordLeg(leg.amount_minor, leg.asset, leg.destination_account_id, leg.source_account_id) for leg in legs]


def command_legs(legs: Sequence[RecordLeg]) -> tuple[Leg, ...]:
    """Return a record's legs as the engine moves them; whom they pay was checked when the record was written."""
    return tuple(
        Leg(leg.source_account_id, leg.destination_account_id, leg.amount_minor, leg.asset, "") for leg in legs
    )
