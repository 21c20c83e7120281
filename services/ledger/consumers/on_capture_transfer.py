"""A caller captures what his hold reserves, or a part of it."""

from libs.common.contracts.gateway import CaptureTransfer
from services.ledger.domain.commands import require_sane_amounts


def on_capture_transfer(message: CaptureTransfer) -> CaptureTransfer:
    """Return the command in it. Raises: Unprocessable for amounts nobody may send, which parks the message."""
    require_sane_amounts(message.amounts_minor)
    return message
