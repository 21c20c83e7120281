"""Hears MessageParked from fraud and the ledger: a person must look at these transfers."""

from collections.abc import Sequence
from typing import cast

from libs.common.contracts.dead_letters import MessageParked
from libs.common.db.hot import HotConnection
from libs.common.messaging.records import Received
from services.gateway.use_cases.project_outcomes import mark_parked


class OnMessageParked:
    """Shows the transfers of parked commands as `parked`."""

    def __init__(self, connection: HotConnection) -> None:
        """Use the projection's connection."""
        self._connection = connection

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Project one batch. Idempotent by: transfer id."""
        await mark_parked([cast("MessageParked", received.message) for received in batch], self._connection)
