"""Fraud has decided about an atomic batch: post all of it or nothing."""

from libs.common.contracts.fraud import TransferBatchScreened
from libs.common.errors import Unprocessable
from services.ledger.consumers.on_transfer_screened import on_transfer_screened
from services.ledger.domain.commands import BATCH_MAX


def on_transfer_batch_screened(message: TransferBatchScreened) -> TransferBatchScreened:
    """Return the command in it. Raises: Unprocessable, which parks the message, for one that nobody may send."""
    if not 1 <= len(message.screenings) <= BATCH_MAX:
        raise Unprocessable(
            "batch_out_of_bounds", f"An atomic batch has 1 to {BATCH_MAX} transfers.", transfers=len(message.screenings)
        )
    for screening in message.screenings:
        on_transfer_screened(screening)
    return message
