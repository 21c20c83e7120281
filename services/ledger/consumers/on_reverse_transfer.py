"""Somebody who may gives a posted transfer's money back, or a part of it."""

from libs.common.contracts.gateway import ReverseTransfer
from services.ledger.domain.commands import require_sane_amounts


def on_reverse_transfer(message: ReverseTransfer) -> ReverseTransfer:
    """Return the command in it. Raises: Unprocessable for amounts nobody may send, which parks the message."""
    require_sane_amounts(message.amounts_minor)
    return message
