"""The message every service publishes when it parks one it could not process."""

from typing import ClassVar

from libs.common.contracts.base import Message


class MessageParked(Message, frozen=True, gc=False, kw_only=True):
    """A message was set aside with its cause, and the stream went on.

    `transfer_ids` names the transfers it carried, so that the gateway can show them as `parked`; empty when the
    message could not be read that far.
    """

    TYPE: ClassVar[str] = "tallystick.dead-letters.message-parked.v1"
    dead_letter_id: str
    group: str
    topic: str
    partition: int
    offset: int
    message_type: str
    cause: str
    transfer_ids: tuple[str, ...]
    occurred_at: str
