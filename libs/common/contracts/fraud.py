"""Fraud's verdicts, on transfers and on commands about them, and the resolutions of the holds it placed.

Each carries the whole command.
"""

from typing import ClassVar, Literal

from libs.common.contracts.base import Message
from libs.common.contracts.gateway import CaptureTransfer, ReverseTransfer, VoidTransfer
from libs.common.contracts.transfers import CanonicalId, TransferCommand

Verdict = Literal["approve", "hold", "block"]
HoldReason = Literal["kyc_pending", "review"]
Resolution = Literal["release", "reject"]


class TransferScreened(Message, frozen=True, gc=False, kw_only=True):
    """The decision on one transfer, stored before it was sent; asked again, the same decision is sent again.

    `code` is empty for `approve`. `reasons` is what must be resolved before a `hold` posts. `facts` are the public
    numbers of a block (`limit`, `limit_minor` or `limit_count`, `used`, `requested`, `resets_at`). `screened_at` is
    RFC 3339 UTC.
    """

    TYPE: ClassVar[str] = "tallystick.fraud.transfer-screened.v1"
    decision_id: str
    verdict: Verdict
    code: str
    reasons: tuple[HoldReason, ...]
    ruleset: int
    facts: dict[str, int | str]
    screened_at: str
    command: TransferCommand


class TransferBatchScreened(Message, frozen=True, gc=False, kw_only=True):
    """The decisions on an atomic batch, in its order. One that is not `approve` refuses the whole batch."""

    TYPE: ClassVar[str] = "tallystick.fraud.transfer-batch-screened.v1"
    batch_id: str
    screenings: tuple[TransferScreened, ...]


class HoldResolved(Message, frozen=True, gc=False, kw_only=True):
    """One reason of a hold is settled. The hold posts on `release` once `remaining` is empty; `reject` voids it.

    It may arrive before its hold: the ledger then settles the transfer from the command it carries, and the late hold
    finds it settled. `code` is the public code of a rejection, empty for a release.
    """

    TYPE: ClassVar[str] = "tallystick.fraud.hold-resolved.v1"
    resolution_id: str
    decision_id: str
    resolution: Resolution
    reason: HoldReason
    remaining: tuple[HoldReason, ...]
    code: str
    ruleset: int
    resolved_at: str
    command: TransferCommand


class CaptureScreened(Message, frozen=True, gc=False, kw_only=True):
    """A capture may go on, where `code` is empty; else it is refused with it, and moves nothing.

    Stored before it was sent; asked again, the same is sent again. `screened_at` is RFC 3339 UTC.
    """

    TYPE: ClassVar[str] = "tallystick.fraud.capture-screened.v1"
    code: str
    screened_at: str
    command: CaptureTransfer


class ReversalScreened(Message, frozen=True, gc=False, kw_only=True):
    """A reversal may go on, where `code` is empty; else it is refused with it. Stored and sent as CaptureScreened."""

    TYPE: ClassVar[str] = "tallystick.fraud.reversal-screened.v1"
    code: str
    screened_at: str
    command: ReverseTransfer


class VoidScreened(Message, frozen=True, gc=False, kw_only=True):
    """A void, which nothing forbids: it comes this way so that it overtakes no capture that was asked for before."""

    TYPE: ClassVar[str] = "tallystick.fraud.void-screened.v1"
    screened_at: str
    command: VoidTransfer


class OutcomeAsked(Message, frozen=True, gc=False, kw_only=True):
    """What became of this transfer? Fraud let it go on and has not heard, and its payer comes near a limit.

    The ledger answers by saying the transfer's state again (TransferChanged). Of a transfer it does not know it says
    nothing: its command may still be under way. `asked_at` is RFC 3339 UTC.
    """

    TYPE: ClassVar[str] = "tallystick.fraud.outcome-asked.v1"
    transfer_id: CanonicalId
    asked_at: str
