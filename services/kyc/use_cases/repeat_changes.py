"""Whatever changed lately is sent once more: held transfers wait for it, and a broker may forget."""

from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.topics import VERIFICATIONS
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.messaging.outgoing_message import outgoing
from libs.common.messaging.publisher import Publisher
from services.kyc.messages import verification_changed
from services.kyc.metrics import CHANGES_REPEATED
from services.kyc.store.verifications import read_changed_verifications

_WINDOW: Final = timedelta(hours=1)
_PAGE: Final = 200
_LOWEST_ID: Final = "00000000-0000-0000-0000-000000000000"


class RepeatChanges:
    """Sends the present state of every verification that changed within the last hour.

    No outbox row is needed: these states are committed and will be sent again. Hearers drop what is not newer.
    """

    def __init__(self, uow: UnitOfWork, publisher: Publisher, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._publisher = publisher
        self._clock = clock

    async def __call__(self) -> None:
        """Send page after page, each when the broker has acknowledged the one before. Raises: Unavailable."""
        place = (self._clock() - _WINDOW, _LOWEST_ID)
        full = True
        while full:
            async with self._uow.begin() as tx:
                page = await read_changed_verifications(tx.connection, place, _PAGE)
            await (
                await self._publisher.send(
                    [outgoing(VERIFICATIONS, one.user_id, verification_changed(one)) for one in page]
                )
            )
            CHANGES_REPEATED.inc(len(page))
            full = len(page) == _PAGE
            if full:
                place = (page[-1].changed_at, page[-1].user_id)
