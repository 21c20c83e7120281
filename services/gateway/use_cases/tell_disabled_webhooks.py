"""Say which webhooks were disabled, so that their owners are told by e-mail."""

from datetime import datetime, timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.topics import NOTICES
from libs.common.db.hot import HotConnection
from libs.common.messaging.outgoing_message import outgoing
from libs.common.messaging.publisher import Publisher
from services.gateway.store.webhooks import load_disabled

_TOLD_FOR: Final = timedelta(days=1)
_PAGE: Final = 200
_LOWEST_ID: Final = "00000000-0000-0000-0000-000000000000"


class TellDisabledWebhooks:
    """Tells again and again of what was disabled within a day, so nothing is lost with a process or a broker."""

    def __init__(self, connection: HotConnection, publisher: Publisher, clock: Clock) -> None:
        """Use this connection."""
        self._connection = connection
        self._publisher = publisher
        self._clock = clock

    async def __call__(self) -> None:
        """Say page after page, each when the broker has the one before. Emits: WebhookDisabled. Raises: Unavailable."""
        place: tuple[datetime, str] | None = (self._clock() - _TOLD_FOR, _LOWEST_ID)
        while place is not None:
            async with self._connection.autocommit() as database:
                page, place = await load_disabled(database, place, limit=_PAGE)
            if page:
                await (await self._publisher.send([outgoing(NOTICES, disabled.user_id, disabled) for disabled in page]))
