"""What the gateway says: commands, each stored and sent again until its outcome is known, and notices to customers."""

from typing import ClassVar, Literal

import msgspec

from libs.common.contracts.audit import AskedFrom
from libs.common.contracts.base import Message
from libs.common.contracts.transfers import CanonicalId, TransferCommand, TransferKind


class TransferRequested(Message, frozen=True, gc=False, kw_only=True):
    """Somebody asked for this transfer. Sent again, unchanged, until its outcome is known."""

    TYPE: ClassVar[str] = "tallystick.gateway.transfer-requested.v1"
    command: TransferCommand


class TransferBatchRequested(Message, frozen=True, gc=False, kw_only=True):
    """Up to 1,000 transfers that post together or not at all, in the order given."""

    TYPE: ClassVar[str] = "tallystick.gateway.transfer-batch-requested.v1"
    batch_id: str
    commands: tuple[TransferCommand, ...]


class FeeTier(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What is taken from amounts of `from_minor` on, up to the next tier: a flat part, and millionths of the amount."""

    from_minor: int
    flat_minor: int
    rate_per_million: int


class FeeRule(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """One fee or tax on one kind of transfer in one asset, withheld from what the payee gets.

    `tiers` are in order, the first from 0. Minimum and maximum bound what the rule takes; `credit` says which account
    of the house gets it.
    """

    rule_id: str
    asset: str
    kind: TransferKind
    credit: Literal["treasury", "fees"]
    tiers: tuple[FeeTier, ...]
    minimum_minor: int
    maximum_minor: int
    rounding: Literal["down", "up", "half_even"]


class AskedOfLedger(Message, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A word about what the ledger holds already. `asked_from` is for its audit log alone, no record holds it."""

    asked_from: AskedFrom | None = None


class PublishFeeSchedule(AskedOfLedger, frozen=True, gc=False, kw_only=True):
    """Staff put the next version of the fee schedule in force; legs from or to an exempt account pay nothing."""

    TYPE: ClassVar[str] = "tallystick.gateway.publish-fee-schedule.v1"
    command_id: CanonicalId
    actor_id: CanonicalId
    rules: tuple[FeeRule, ...]
    exempt_account_ids: tuple[CanonicalId, ...]
    requested_at: str


class CaptureTransfer(AskedOfLedger, frozen=True, gc=False, kw_only=True):
    """Post a part of what a caller's hold reserves, or all of it.

    `amounts_minor` is what each leg moves, in the order of the legs; empty for all that is left. With `is_final` the
    hold ends and what was not captured is given back. Has its effect once per `command_id`.
    """

    TYPE: ClassVar[str] = "tallystick.gateway.capture-transfer.v1"
    command_id: CanonicalId
    transfer_id: CanonicalId
    actor_id: CanonicalId
    amounts_minor: tuple[int, ...]
    is_final: bool
    requested_at: str


class VoidTransfer(AskedOfLedger, frozen=True, gc=False, kw_only=True):
    """End a caller's hold; what it still reserves is given back. Has its effect once per `command_id`."""

    TYPE: ClassVar[str] = "tallystick.gateway.void-transfer.v1"
    command_id: CanonicalId
    transfer_id: CanonicalId
    actor_id: CanonicalId
    requested_at: str


class ReverseTransfer(AskedOfLedger, frozen=True, gc=False, kw_only=True):
    """Move a posted transfer's money back, in part or in full; never more than it moved, over all its reversals.

    The reversal is a transfer of its own, and `command_id` is its id. `amounts_minor` is what each leg gives back;
    empty for all that is left. With `with_fees` the fees withheld come back in the same proportion.
    `reason_commitment` is the hex SHA-256 over a salt and the reason, which never leaves the gateway.
    """

    TYPE: ClassVar[str] = "tallystick.gateway.reverse-transfer.v1"
    command_id: CanonicalId
    transfer_id: CanonicalId
    actor_id: CanonicalId
    amounts_minor: tuple[int, ...]
    with_fees: bool
    reason_commitment: str
    requested_at: str


class ChangeAccount(AskedOfLedger, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Change what an account may do: its status, the least and the most it may hold. None leaves as it is.

    `only_while` is the status that it must have: an owner closes what is active, and so undoes nothing that staff
    decided in the meantime. Staff leave it out.
    """

    TYPE: ClassVar[str] = "tallystick.gateway.change-account.v1"
    command_id: CanonicalId
    account_id: CanonicalId
    actor_id: CanonicalId
    status: Literal["active", "frozen", "suspended", "closed"] | None
    minimum_minor: int | None
    maximum_minor: int | None
    reason_commitment: str
    requested_at: str
    only_while: Literal["active", "frozen", "suspended", "closed"] | None = None


class HeldMoneyArrived(Message, frozen=True, gc=False, kw_only=True):
    """Money that a customer is to get is held. (`shard`, `journal_index`) names the record that says so.

    Told again for a day while it is held: tell him once. `amounts_minor` is asset → what is on its way to him.
    """

    TYPE: ClassVar[str] = "tallystick.gateway.held-money-arrived.v1"
    user_id: CanonicalId
    transfer_id: CanonicalId
    amounts_minor: dict[str, int]
    shard: int
    journal_index: int
    occurred_at: str


class WebhookDisabled(Message, frozen=True, gc=False, kw_only=True):
    """Nothing is sent to a webhook any more, since its receiver is gone (410) or took an event not in three days.

    Told again for a day: tell its owner once for each moment `occurred_at`.
    """

    TYPE: ClassVar[str] = "tallystick.gateway.webhook-disabled.v1"
    user_id: CanonicalId
    webhook_id: CanonicalId
    because: Literal["gone", "failed_for_three_days"]
    occurred_at: str
