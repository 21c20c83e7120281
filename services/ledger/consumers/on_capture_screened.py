"""A caller captures what his hold reserves, or a part of it; fraud says whether he may."""

from libs.common.contracts.fraud import CaptureScreened
from libs.common.contracts.gateway import CaptureTransfer
from services.ledger.domain.commands import BlockedCommand, require_sane_amounts


def on_capture_screened(message: CaptureScreened) -> CaptureTransfer | BlockedCommand:
    """Return the command in it. Raises: Unprocessable for amounts nobody may send, which parks the message."""
    require_sane_amounts(message.command.amounts_minor)
    return BlockedCommand(message.command, message.code) if message.code else message.command
