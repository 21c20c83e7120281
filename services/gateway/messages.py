"""The gateway's messages, built around the command's stored bytes: what is sent is what was kept, byte for byte."""

from collections.abc import Sequence
from typing import Final

from libs.common.contracts.gateway import (
    CaptureTransfer,
    ChangeAccount,
    PublishFeeSchedule,
    ReverseTransfer,
    TransferBatchRequested,
    TransferRequested,
    VoidTransfer,
)
from libs.common.contracts.topics import LEDGER_COMMANDS, TRANSFER_COMMANDS, TRANSFER_REQUESTS
from libs.common.messaging.outgoing_message import Outgoing

_COMMANDS: Final = {
    "captures": (TRANSFER_COMMANDS, CaptureTransfer.TYPE),
    "voids": (TRANSFER_COMMANDS, VoidTransfer.TYPE),
    "reversals": (TRANSFER_COMMANDS, ReverseTransfer.TYPE),
    "account-status": (LEDGER_COMMANDS, ChangeAccount.TYPE),
    "account-limits": (LEDGER_COMMANDS, ChangeAccount.TYPE),
    "account-closings": (LEDGER_COMMANDS, ChangeAccount.TYPE),
    "fee-schedules": (LEDGER_COMMANDS, PublishFeeSchedule.TYPE),
}
"""Scope of the idempotency key → where the message goes, and its type."""


def transfer_requested(actor_id: str, transfer_id: str, command: bytes, traceparent: str = "") -> Outgoing:
    """Return the request as a message; its id is the transfer's, however often it is sent."""
    return Outgoing(
        topic=TRANSFER_REQUESTS.name,
        key=actor_id,
        message_id=transfer_id,
        message_type=TransferRequested.TYPE,
        source=TRANSFER_REQUESTS.owner,
        payload=b'{"command":%b}' % command,
        traceparent=traceparent,
    )


def batch_requested(actor_id: str, batch_id: str, commands: Sequence[bytes]) -> Outgoing:
    """Return an atomic batch as one message, in its order."""
    return Outgoing(
        topic=TRANSFER_REQUESTS.name,
        key=actor_id,
        message_id=batch_id,
        message_type=TransferBatchRequested.TYPE,
        source=TRANSFER_REQUESTS.owner,
        payload=b'{"batch_id":"%b","commands":[%b]}' % (batch_id.encode(), b",".join(commands)),
    )


def ledger_command(scope: str, command_id: str, subject_id: str, payload: bytes) -> Outgoing:
    """Return a command about a transfer or an account as a message; its id is the command's, however often sent."""
    topic, message_type = _COMMANDS[scope]
    return Outgoing(
        topic=topic.name,
        key=subject_id,
        message_id=command_id,
        message_type=message_type,
        source=topic.owner,
        payload=payload,
    )
