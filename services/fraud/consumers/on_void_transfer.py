"""Hears that a caller ends his hold; it arrives between the captures, and nothing forbids it."""

from libs.common.contracts.fraud import VoidScreened
from libs.common.contracts.gateway import VoidTransfer
from services.fraud.use_cases.screen_commands import AskedAbout


def void_asked(message: VoidTransfer) -> AskedAbout:
    """Return the void as screening takes it: it moves no money."""
    return AskedAbout(
        message.command_id,
        message.transfer_id,
        message.actor_id,
        None,
        lambda _, at: VoidScreened(screened_at=at, command=message),
    )
