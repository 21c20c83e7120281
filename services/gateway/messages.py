"""The gateway's messages, built around the command's stored bytes: what is sent is what was kept, byte for byte."""

from collections.abc import Sequence

from libs.common.contracts.gateway import TransferBatchRequested, TransferRequested
from libs.common.contracts.topics import TRANSFER_REQUESTS
from libs.common.messaging.outgoing_message import Outgoing


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
