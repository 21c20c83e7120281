"""Batches of messages into commands for the writer: all of a batch is read first, then posted in its order."""

from collections.abc import Sequence

from libs.common.contracts.fraud import (
    CaptureScreened,
    HoldResolved,
    ReversalScreened,
    TransferBatchScreened,
    TransferScreened,
    VoidScreened,
)
from libs.common.contracts.gateway import ChangeAccount, PublishFeeSchedule
from libs.common.errors import InvariantBroken
from libs.common.messaging.delivery import Handle
from libs.common.messaging.records import Received
from libs.common.telemetry.traces import batch_spans
from services.ledger.consumers.on_capture_screened import on_capture_screened
from services.ledger.consumers.on_change_account import on_change_account
from services.ledger.consumers.on_hold_resolved import on_hold_resolved
from services.ledger.consumers.on_publish_fee_schedule import on_publish_fee_schedule
from services.ledger.consumers.on_reversal_screened import on_reversal_screened
from services.ledger.consumers.on_transfer_batch_screened import on_transfer_batch_screened
from services.ledger.consumers.on_transfer_screened import on_transfer_screened
from services.ledger.consumers.on_void_screened import on_void_screened
from services.ledger.domain.commands import Command
from services.ledger.use_cases.post_transfers import PostTransfers


def ledger_commands_handler(post_transfers: PostTransfers) -> Handle:
    """Return what handles words about accounts and fees: read all first, then do them in their order."""

    async def handle(batch: Sequence[Received]) -> None:
        await post_transfers([_ledger_command(received) for received in batch])

    return handle


def screened_commands_handler(post_transfers: PostTransfers) -> Handle:
    """Return what handles words about transfers that are there, which fraud passes on: as above."""

    async def handle(batch: Sequence[Received]) -> None:
        await post_transfers([_screened_command(received) for received in batch])

    return handle


def _screened_command(received: Received) -> Command:
    match received.message:
        case CaptureScreened() as message:
            return on_capture_screened(message)
        case VoidScreened() as message:
            return on_void_screened(message)
        case ReversalScreened() as message:
            return on_reversal_screened(message)
        case other:
            raise InvariantBroken("the bus delivers only the topic's own messages", type=type(other).__name__)


def _ledger_command(received: Received) -> Command:
    match received.message:
        case ChangeAccount() as message:
            return on_change_account(message)
        case PublishFeeSchedule() as message:
            return on_publish_fee_schedule(message)
        case other:
            raise InvariantBroken("the bus delivers only the topic's own messages", type=type(other).__name__)


def screenings_handler(post_transfers: PostTransfers) -> Handle:
    """Return what handles fraud's three messages: read all first, then post them in their order."""

    async def handle(batch: Sequence[Received]) -> None:
        with batch_spans("ledger.post", _traced(batch), len(batch)) as onward:
            await post_transfers([_command(received) for received in batch], onward)

    return handle


def _traced(batch: Sequence[Received]) -> dict[str, str]:
    return {
        received.message.command.transfer_id: received.traceparent
        for received in batch
        if received.traceparent and isinstance(received.message, TransferScreened)
    }


def _command(received: Received) -> Command:
    match received.message:
        case TransferScreened() as message:
            return on_transfer_screened(message)
        case HoldResolved() as message:
            return on_hold_resolved(message)
        case TransferBatchScreened() as message:
            return on_transfer_batch_screened(message)
        case other:
            raise InvariantBroken("the bus delivers only the topic's own messages", type=type(other).__name__)
