"""Hears that somebody gives a posted transfer's money back; it arrives between the captures."""

from libs.common.contracts.fraud import ReversalScreened
from libs.common.contracts.gateway import ReverseTransfer
from services.fraud.use_cases.screen_commands import AskedAbout


def reversal_asked(message: ReverseTransfer) -> AskedAbout:
    """Return the reversal as screening takes it."""
    return AskedAbout(
        message.command_id,
        message.transfer_id,
        message.actor_id,
        "reversal",
        lambda code, at: ReversalScreened(code=code, screened_at=at, command=message),
    )
