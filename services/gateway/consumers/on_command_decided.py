"""Hears CommandDecided, on the topic of TransferChanged: the ledger did, or refused, what a command asked."""

import msgspec

from libs.common.contracts.ledger import CommandDecided
from services.gateway.domain.outcomes import Outcome
from services.gateway.use_cases.project_outcomes import outcome_of_command

_decode = msgspec.json.Decoder(CommandDecided).decode


def read_decided(payload: bytes) -> Outcome:
    """Return the command's outcome. Raises: what is listed as UNREADABLE."""
    return outcome_of_command(_decode(payload))
