"""Hears TransferChanged: as a group for the projection, from the tip for those who wait."""

from collections.abc import Sequence
from typing import Final

import msgspec

from libs.common.contracts.ledger import CommandDecided, TransferChanged
from libs.common.db.hot import HotConnection
from libs.common.messaging.batched_record import UNREADABLE
from libs.common.messaging.records import Glimpse, Received
from services.gateway.consumers.on_command_decided import read_decided
from services.gateway.domain.outcomes import Outcome
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.use_cases.keep_events import KeepEvents
from services.gateway.use_cases.notify_payees import NotifyPayees
from services.gateway.use_cases.project_outcomes import outcome_of, project_outcomes

_FIRST_VERSION: Final = 1
_decode_transfer = msgspec.json.Decoder(TransferChanged).decode


class OnTransferChanged:
    """Projects outcomes of transfers and of commands, which share a topic; shared by all gateway processes."""

    def __init__(self, connection: HotConnection, keep_events: KeepEvents, notify_payees: NotifyPayees) -> None:
        """Use the projection's connection; what changed is kept as events too, and payees are told of what is held."""
        self._connection = connection
        self._keep_events = keep_events
        self._notify_payees = notify_payees

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Project one batch, then keep its events and tell payees. Each may come again without the others."""
        changes = [
            received.message for received in batch if isinstance(received.message, TransferChanged | CommandDecided)
        ]
        await project_outcomes(changes, self._connection)
        transfers = [change for change in changes if isinstance(change, TransferChanged)]
        await self._keep_events.transfers(transfers)
        await self._notify_payees(transfers)


class WakeWaiters:
    """Reads the tip in every api process and decodes only what somebody here waits for.

    It tells first states alone. Who still waits when a later one comes has missed the first, which may be what is
    frozen under his key: he is answered from the projection, within a second.
    """

    def __init__(self, waiters: Waiters) -> None:
        """Wake these."""
        self._waiters = waiters

    def __call__(self, glimpses: Sequence[Glimpse]) -> None:
        """Look at the keys; a key is the id of a transfer or of a command."""
        wants, resolve = self._waiters.wants, self._waiters.resolve
        for key, payload in glimpses:
            if wants(key):
                try:
                    outcome = _read(payload)
                except UNREADABLE:
                    # The consumer group parks it; the poll or the deadline answers whoever waits.
                    continue
                if outcome.version == _FIRST_VERSION:
                    resolve(outcome)


def _read(payload: bytes) -> Outcome:
    """Return what a message of the topic says; a glimpse does not tell which of the two kinds it is."""
    try:
        return outcome_of(_decode_transfer(payload))
    except msgspec.ValidationError:
        return read_decided(payload)
