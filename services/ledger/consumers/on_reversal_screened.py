"""Somebody gives a posted transfer's money back, or a part of it; fraud says whether he may."""

from libs.common.contracts.fraud import ReversalScreened
from libs.common.contracts.gateway import ReverseTransfer
from services.ledger.domain.commands import BlockedCommand, require_sane_amounts


def on_reversal_screened(message: ReversalScreened) -> ReverseTransfer | BlockedCommand:
    """Return the command in it. Raises: Unprocessable for amounts nobody may send, which parks the message."""
    require_sane_amounts(message.command.amounts_minor)
    return BlockedCommand(message.command, message.code) if message.code else message.command
