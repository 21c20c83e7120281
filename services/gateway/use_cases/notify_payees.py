"""Say that held money is on its way to somebody, so that he is told by e-mail, whether or not he listens to events."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.gateway import HeldMoneyArrived
from libs.common.contracts.ledger import TransferChanged
from libs.common.contracts.topics import NOTICES
from libs.common.db.hot import HotConnection
from libs.common.messaging.outgoing_message import Outgoing, outgoing
from libs.common.messaging.publisher import Publisher
from services.gateway.domain.events import TransferParties
from services.gateway.store.parties import load_parties

_TOLD_FOR: Final = timedelta(days=1)


class NotifyPayees:
    """Tells of transfers whose first state is held.

    No outbox row is needed: a held transfer is asked for again, so the ledger says again that it is held. What was
    told may be told twice, or by two processes.
    """

    def __init__(self, connection: HotConnection, publisher: Publisher, clock: Clock) -> None:
        """Look up over this connection whom a transfer concerns."""
        self._connection = connection
        self._publisher = publisher
        self._clock = clock

    async def __call__(self, changes: Sequence[TransferChanged]) -> None:
        """Say so to each payee of what is held since a day at most. Emits: HeldMoneyArrived. Raises: Unavailable."""
        oldest = to_rfc3339(self._clock() - _TOLD_FOR)
        held = [
            change
            for change in changes
            if change.status == "held" and change.version == 1 and change.occurred_at >= oldest
        ]
        if not held:
            return
        async with self._connection.autocommit() as database:
            parties = await load_parties(database, list({change.transfer_id for change in held}))
        messages = [
            message
            for change in held
            if change.transfer_id in parties
            for message in _notices_of(change, parties[change.transfer_id])
        ]
        if messages:
            await self._publisher.send(messages)


def _notices_of(change: TransferChanged, parties: TransferParties) -> list[Outgoing]:
    return [
        outgoing(
            NOTICES,
            user_id,
            HeldMoneyArrived(
                user_id=user_id,
                transfer_id=change.transfer_id,
                amounts_minor=amounts_minor,
                shard=change.shard,
                journal_index=change.journal_index,
                occurred_at=change.occurred_at,
            ),
        )
        for user_id, amounts_minor in sorted(parties.on_their_way().items())
    ]
