"""Hears captures, and the voids and reversals between them, and has them screened."""

from collections.abc import Sequence

from libs.common.contracts.fraud import CaptureScreened
from libs.common.contracts.gateway import CaptureTransfer, ReverseTransfer, VoidTransfer
from libs.common.messaging.records import Received
from services.fraud.consumers.on_reverse_transfer import reversal_asked
from services.fraud.consumers.on_void_transfer import void_asked
from services.fraud.use_cases.screen_commands import AskedAbout, ScreenCommands


class OnCaptureTransfer:
    """Hands a batch of `gateway.transfer-commands.v1` to screening, in order; it brings all three kinds."""

    def __init__(self, screen_commands: ScreenCommands) -> None:
        """Use this use case."""
        self._screen_commands = screen_commands

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Screen them in one unit of work."""
        asked = []
        for received in batch:
            match received.message:
                case CaptureTransfer() as message:
                    asked.append(_capture_asked(message))
                case ReverseTransfer() as message:
                    asked.append(reversal_asked(message))
                case VoidTransfer() as message:
                    asked.append(void_asked(message))
        await self._screen_commands(asked)


def _capture_asked(message: CaptureTransfer) -> AskedAbout:
    return AskedAbout(
        message.command_id,
        message.transfer_id,
        message.actor_id,
        "capture",
        lambda code, at: CaptureScreened(code=code, screened_at=at, command=message),
    )
