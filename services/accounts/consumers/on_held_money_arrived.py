"""Hears `HeldMoneyArrived`, and with it what else there is to tell a customer: he gets a mail."""

from collections.abc import Sequence

from libs.common.contracts.gateway import HeldMoneyArrived, WebhookDisabled
from libs.common.messaging.records import Received
from services.accounts.consumers.on_webhook_disabled import read_disabled
from services.accounts.domain.notices import Notice, held_money_notice
from services.accounts.use_cases.send_notices import SendNotices


class OnHeldMoneyArrived:
    """Has a batch of notices mailed, of both kinds that share the topic."""

    def __init__(self, send_notices: SendNotices) -> None:
        """Take the use case."""
        self._send_notices = send_notices

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Translate the batch. Idempotent by: (customer, what he is told). Raises: Unavailable."""
        notices: list[Notice] = []
        for received in batch:
            match received.message:
                case HeldMoneyArrived() as arrived:
                    notices.append(
                        held_money_notice(
                            user_id=arrived.user_id,
                            transfer_id=arrived.transfer_id,
                            amounts_minor=arrived.amounts_minor,
                            shard=arrived.shard,
                            journal_index=arrived.journal_index,
                            moment=arrived.occurred_at,
                        )
                    )
                case WebhookDisabled() as disabled:
                    notices.append(read_disabled(disabled))
        await self._send_notices(notices)
