"""Commands the gateway publishes, each stored in `gateway.transfers` before it is sent."""

from typing import ClassVar

from libs.common.contracts.base import Message
from libs.common.contracts.transfers import TransferCommand


class TransferRequested(Message, frozen=True, gc=False, kw_only=True):
    """Somebody asked for this transfer. Sent again, unchanged, until its outcome is known."""

    TYPE: ClassVar[str] = "tallystick.gateway.transfer-requested.v1"
    command: TransferCommand


class TransferBatchRequested(Message, frozen=True, gc=False, kw_only=True):
    """Up to 1,000 transfers that post together or not at all, in the order given."""

    TYPE: ClassVar[str] = "tallystick.gateway.transfer-batch-requested.v1"
    batch_id: str
    commands: tuple[TransferCommand, ...]
