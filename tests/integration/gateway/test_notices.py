"""What the gateway has customers told by e-mail, and what becomes of webhooks whose owner has closed."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from libs.common.clock import to_rfc3339
from libs.common.contracts.accounts import CustomerChanged
from libs.common.contracts.gateway import HeldMoneyArrived, WebhookDisabled
from libs.common.db.kept_answers import KeptAnswer
from libs.common.http.idempotency import Once
from libs.common.ids import new_id
from services.gateway.domain.events import KEPT_FOR
from services.gateway.domain.webhooks import Webhook
from services.gateway.store.webhooks import disable_webhook
from services.gateway.use_cases.keep_events import PruneEvents
from services.gateway.use_cases.keep_webhooks import KeepWebhooks, WantedWebhook, WebhookChange
from services.gateway.use_cases.notify_payees import NotifyPayees
from services.gateway.use_cases.project_directory import project_profiles
from services.gateway.use_cases.tell_disabled_webhooks import TellDisabledWebhooks
from services.gateway.webhook_secrets import WebhookSecrets
from tests.integration.gateway.listening import Listening

UNKEYED: Once[Webhook] = Once(None, b"", "", lambda _: KeptAnswer(201, "", "", b""))
HELD: dict[str, Any] = {"resolver": "fraud", "reasons": ("kyc_pending",)}


def notify(listening: Listening) -> NotifyPayees:
    counter = listening.counter
    return NotifyPayees(counter.connections["projection"], counter.publisher, counter.clock)


async def test_the_payee_of_held_money_is_told_though_he_never_listened(listening: Listening) -> None:
    transfer_id = await listening.sent()
    said = listening.said(transfer_id, "held", journal_index=41, **HELD)
    await notify(listening)([said])
    [notice] = listening.counter.publisher.said(listening.payee.owner_id)
    assert isinstance(notice, HeldMoneyArrived)
    assert (notice.transfer_id, notice.shard, notice.journal_index) == (transfer_id, 0, 41)
    assert notice.amounts_minor == {"USD": 5}
    assert listening.counter.publisher.said(listening.payer.owner_id) == []


async def test_only_the_first_state_of_a_hold_is_told_and_for_a_day(listening: Listening) -> None:
    transfer_id = await listening.sent()
    held = listening.said(transfer_id, "held", **HELD)
    await notify(listening)(
        [
            listening.said(transfer_id, "held", 2, captured_minor=(1,), **HELD),
            listening.said(transfer_id, "posted"),
            listening.said(new_id(), "held", **HELD),
        ]
    )
    listening.counter.clock.move(timedelta(days=1, minutes=1))
    await notify(listening)([held])
    assert listening.counter.publisher.said(listening.payee.owner_id) == []


class Owner:
    """A customer with webhooks."""

    def __init__(self, listening: Listening, folder: Path) -> None:
        self.counter, self.user_id = listening.counter, listening.payee.owner_id
        self.connection = self.counter.connections["projection"]
        keys = folder / "webhooks.keys"
        keys.write_text(Fernet.generate_key().decode())
        self.keep = KeepWebhooks(self.connection, self.counter.uow, WebhookSecrets(keys), self.counter.clock, ())

    async def webhook(self) -> str:
        wanted = WantedWebhook("https://shop.example/events")
        webhook, _secret = await self.keep.create(UNKEYED, self.user_id, wanted)
        return webhook.webhook_id

    async def disabled(self, because: Any) -> str:
        webhook_id = await self.webhook()
        async with self.connection.autocommit() as database:
            await disable_webhook(database, webhook_id, because, self.counter.clock())
        return webhook_id

    async def tell(self) -> list[WebhookDisabled]:
        self.counter.publisher.sent.clear()
        await TellDisabledWebhooks(self.connection, self.counter.publisher, self.counter.clock)()
        return [notice for notice in self.counter.publisher.said(self.user_id) if isinstance(notice, WebhookDisabled)]

    async def became(self, status: Any, version: int) -> None:
        changed = CustomerChanged(
            user_id=self.user_id,
            profile="retail",
            status=status,
            version=version,
            occurred_at=to_rfc3339(self.counter.clock()),
        )
        await project_profiles([changed], self.connection)

    async def shown(self, webhook_id: str) -> Webhook:
        return await self.keep.show(self.user_id, webhook_id)


@pytest.fixture
def owner(listening: Listening, tmp_path: Path) -> Owner:
    return Owner(listening, tmp_path)


async def test_the_owner_of_a_webhook_that_its_receiver_had_disabled_is_told_for_a_day(owner: Owner) -> None:
    gone, failed = await owner.disabled("gone"), await owner.disabled("failed_for_three_days")
    await owner.disabled("by_owner")
    await owner.webhook()
    for _ in range(2):
        told = await owner.tell()
        assert {(one.webhook_id, one.because) for one in told} == {(gone, "gone"), (failed, "failed_for_three_days")}
    await owner.keep.change(owner.user_id, gone, WebhookChange(is_enabled=True))
    assert [one.webhook_id for one in await owner.tell()] == [failed]
    owner.counter.clock.move(timedelta(days=1, minutes=1))
    assert await owner.tell() == []


async def test_nothing_is_sent_any_more_for_a_customer_who_has_closed(owner: Owner) -> None:
    webhook_id, own = await owner.webhook(), await owner.disabled("by_owner")
    await owner.became("active", 1)
    assert (await owner.shown(webhook_id)).is_enabled
    await owner.became("closed", 2)
    for one in (webhook_id, own):
        shown = await owner.shown(one)
        assert (shown.is_enabled, shown.disabled_because) == (False, "customer_closed")
    assert await owner.tell() == []


async def test_one_who_came_back_keeps_what_he_enabled_when_his_closing_is_told_again(owner: Owner) -> None:
    webhook_id = await owner.webhook()
    await owner.became("closed", 2)
    await owner.became("active", 3)
    await owner.keep.change(owner.user_id, webhook_id, WebhookChange(is_enabled=True))
    await owner.became("closed", 2)
    assert (await owner.shown(webhook_id)).is_enabled


async def test_what_a_closed_customer_had_is_deleted_with_his_last_events(owner: Owner) -> None:
    await owner.webhook()
    await owner.became("closed", 2)
    prune = PruneEvents(owner.connection, owner.counter.clock)
    for waited, kept in ((KEPT_FOR - timedelta(minutes=1), 1), (timedelta(minutes=2), 0)):
        owner.counter.clock.move(waited)
        await prune()
        assert len(await owner.keep.list(owner.user_id)) == kept
