"""Fraud has settled one reason of a hold: release it or end it."""

from libs.common.contracts.fraud import HoldResolved
from libs.common.errors import Unprocessable
from services.ledger.domain.commands import require_sane


def on_hold_resolved(message: HoldResolved) -> HoldResolved:
    """Return the command in it. Raises: Unprocessable for a rejection without a code, which parks the message."""
    require_sane(message.command)
    if message.resolution == "reject" and not message.code:
        raise Unprocessable("rejection_without_code", "A rejection says why.")
    return message
