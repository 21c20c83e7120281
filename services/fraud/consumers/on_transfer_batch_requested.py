"""Hears requests for transfers that post together or not at all; they arrive between the single ones."""

from libs.common.contracts.gateway import TransferBatchRequested
from libs.common.errors import Unprocessable
from services.fraud.use_cases.find_payees import Asked


def batch_asked(message: TransferBatchRequested) -> Asked:
    """Return the batch as screening takes it. Raises: Unprocessable for one without transfers."""
    if not message.commands:
        raise Unprocessable("batch_empty", "A batch names at least one transfer.", batch_id=message.batch_id)
    return Asked(message.commands, batch_id=message.batch_id)
