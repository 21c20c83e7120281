"""Fraud has decided about a transfer: post it, hold it or write the block down."""

from libs.common.contracts.fraud import TransferScreened
from libs.common.errors import Unprocessable
from services.ledger.domain.commands import require_sane


def on_transfer_screened(message: TransferScreened) -> TransferScreened:
    """Return the command in it. Raises: Unprocessable for a verdict that says too little, which parks the message."""
    require_sane(message.command)
    if message.verdict == "hold" and not message.reasons:
        raise Unprocessable("hold_without_reason", "A hold without a reason would never end.")
    if message.verdict == "block" and not message.code:
        raise Unprocessable("block_without_code", "A block says why.")
    return message
