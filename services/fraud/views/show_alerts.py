"""Alerts as compliance reads them. Whoever one is about does not find it, whatever his roles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from services.fraud.domain.alerts import Alert, AlertEvent, AlertQuery, AlertTransfer
from services.fraud.store.alert_reviews import find_alert, read_alerts, read_events, read_transfers

EVENTS_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class WholeAlert:
    """An alert with all that proves it, and its newest events."""

    alert: Alert
    transfers: Sequence[AlertTransfer]
    events: Sequence[AlertEvent]


class ShowAlerts:
    """Reads alerts. Raises: Unavailable, everywhere."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Take what it reads with."""
        self._uow = uow

    async def page(self, asked: AlertQuery, asker_id: str, *, before_id: str | None, limit: int) -> Sequence[Alert]:
        """Return alerts, newest first, behind the one `before_id`."""
        async with self._uow.begin() as tx:
            return await read_alerts(tx.connection, asked, asker_id, before_id=before_id, limit=limit)

    async def one(self, alert_id: str, asker_id: str, *, events_before: int) -> WholeAlert:
        """Return the alert, and its events before a version of it. Raises: NotFound `alert_not_found`."""
        async with self._uow.begin() as tx:
            alert = await find_alert(tx.connection, alert_id, asker_id)
            if alert is None:
                raise NotFound("alert_not_found", "There is no such alert.")
            transfers = await read_transfers(tx.connection, alert_id)
            events = await read_events(tx.connection, alert_id, before_version=events_before, limit=EVENTS_SHOWN)
        return WholeAlert(alert, transfers, events)
