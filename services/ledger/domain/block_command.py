"""A capture or a reversal that fraud forbids is refused with fraud's code, whatever else may be wrong with it."""

from services.ledger.domain.commands import BlockedCommand, CaptureTransfer
from services.ledger.domain.end_hold import CAPTURE, is_answered
from services.ledger.domain.refuse_transfer import Refusal
from services.ledger.domain.reverse_transfer import refuse_reversal
from services.ledger.domain.run import Run


def block_command(run: Run, blocked: BlockedCommand) -> None:
    """Record the refusal; hold and transfer stay as they are. What was decided before is answered again."""
    command, refusal = blocked.command, Refusal(blocked.code)
    if not isinstance(command, CaptureTransfer):
        refuse_reversal(run, command, refusal)
    elif not is_answered(run, command.command_id):
        run.refuse_command(command, command.command_id, CAPTURE, command.transfer_id, refusal)
