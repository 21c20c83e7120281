"""Whatever changed lately is sent once more: a broker may forget, and nobody else would repeat it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.topics import ACCOUNTS, CUSTOMERS, Topic
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.messaging.outgoing_message import Outgoing, outgoing
from libs.common.messaging.publisher import Publisher
from services.accounts.messages import account_changed, customer_changed
from services.accounts.metrics import CHANGES_REPEATED
from services.accounts.store.accounts import read_changed_accounts
from services.accounts.store.customers import read_changed_customers

_WINDOW: Final = timedelta(hours=1)
_PAGE: Final = 200
_LOWEST_ID: Final = "00000000-0000-0000-0000-000000000000"

_Place = tuple[datetime, str]
_ReadPage = Callable[[_Place], Awaitable[tuple[Sequence[Outgoing], _Place | None]]]


class RepeatChanges:
    """Sends the present state of every customer and account that changed within the last hour.

    No outbox row is needed: these states are committed and will be sent again. Hearers drop what is not newer.
    """

    def __init__(self, uow: UnitOfWork, publisher: Publisher, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._publisher = publisher
        self._clock = clock

    async def __call__(self) -> None:
        """Send page after page, each when the broker has acknowledged the one before. Raises: Unavailable."""
        since = (self._clock() - _WINDOW, _LOWEST_ID)
        await self._repeat(CUSTOMERS, since, self._customers)
        await self._repeat(ACCOUNTS, since, self._accounts)

    async def _repeat(self, topic: Topic, since: _Place, read: _ReadPage) -> None:
        place: _Place | None = since
        while place is not None:
            messages, place = await read(place)
            await (await self._publisher.send(messages))
            CHANGES_REPEATED.labels(topic.name).inc(len(messages))

    async def _customers(self, place: _Place) -> tuple[Sequence[Outgoing], _Place | None]:
        async with self._uow.begin() as tx:
            page = await read_changed_customers(tx.connection, place, _PAGE)
        messages = [outgoing(CUSTOMERS, customer.user_id, customer_changed(customer)) for customer in page]
        return messages, (page[-1].changed_at, page[-1].user_id) if len(page) == _PAGE else None

    async def _accounts(self, place: _Place) -> tuple[Sequence[Outgoing], _Place | None]:
        async with self._uow.begin() as tx:
            page = await read_changed_accounts(tx.connection, place, _PAGE)
        messages = [outgoing(ACCOUNTS, account.account_id, account_changed(account)) for account in page]
        return messages, (page[-1].changed_at, page[-1].account_id) if len(page) == _PAGE else None
