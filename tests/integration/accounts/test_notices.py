"""What other services have customers told: mailed once, to a proven address, and not by the thousand."""

from datetime import timedelta

import pytest
from aiokafka import ConsumerRecord

from libs.common.contracts.base import Message
from libs.common.contracts.gateway import HeldMoneyArrived, WebhookDisabled
from libs.common.ids import new_id
from libs.common.messaging.records import Received
from services.accounts.consumers.on_held_money_arrived import OnHeldMoneyArrived
from services.accounts.domain.notices import PER_HOUR_MAX
from services.accounts.use_cases.forget_expired import ForgetExpired
from services.accounts.use_cases.send_notices import SendNotices
from tests.integration.accounts.conftest import PASSWORD, World
from tests.integration.accounts.test_verifying_emails import tokens_mailed, verify

AT = "2026-03-01T09:30:00.000000Z"
NOBODY = "01890a5d-ac96-774b-bcce-b302099a0009"


class Payee:
    """Somebody who is told things."""

    def __init__(self, world: World, email: str, user_id: str) -> None:
        self.world, self.email, self.user_id = world, email, user_id

    async def hear(self, *messages: Message) -> None:
        record = ConsumerRecord("gateway.notices.v1", 0, 0, 0, 0, b"", b"", None, 0, 0, ())
        consumer = OnHeldMoneyArrived(SendNotices(self.world.uow, self.world.clock))
        await consumer([Received(message, record) for message in messages])

    def held(self, journal_index: int, **amounts_minor: int) -> HeldMoneyArrived:
        return HeldMoneyArrived(
            user_id=self.user_id,
            transfer_id=new_id(),
            amounts_minor=amounts_minor or {"USD": 500},
            shard=0,
            journal_index=journal_index,
            occurred_at=AT,
        )

    async def subjects(self) -> list[str]:
        told = [mail.subject for mail in await self.world.mails_to(self.email)]
        return [subject for subject in told if "way to you" in subject or "webhook" in subject]


@pytest.fixture
async def unproven(world: World) -> Payee:
    email = f"{new_id()}@example.com"
    return Payee(world, email, await world.register(email))


@pytest.fixture
async def payee(unproven: Payee) -> Payee:
    [token] = await tokens_mailed(unproven.world, unproven.email)
    assert (await verify(unproven.world, token)).status_code == 204
    return unproven


async def test_held_money_is_told_once_however_often_the_bus_does(payee: Payee) -> None:
    arrived = payee.held(41, USD=123_450, EUR=7)
    await payee.hear(arrived, arrived)
    await payee.hear(arrived)
    assert await payee.subjects() == ["Money is on its way to you"]
    text = (await payee.world.mails_to(payee.email))[-1].text
    assert "0.07 EUR and 1,234.50 USD" in text
    assert arrived.transfer_id in text
    await payee.hear(payee.held(42))
    assert len(await payee.subjects()) == 2


async def test_money_that_others_send_does_not_keep_a_customer_from_hearing_of_his_log_in(payee: Payee) -> None:
    await payee.hear(*(payee.held(number) for number in range(PER_HOUR_MAX + 1)))
    assert len(await payee.subjects()) == PER_HOUR_MAX
    headers = payee.world.keys.bearer(payee.user_id)
    body = {"old_password": PASSWORD, "new_password": "a wholly different battery"}
    assert (await payee.world.http.post("/api/v1/auth/password", json=body, headers=headers)).status_code == 204
    assert (await payee.world.mails_to(payee.email))[-1].subject == "Your password was changed"
    await payee.world.rows("DELETE FROM accounts.notices WHERE user_id = $1 AND name LIKE 'held%'", payee.user_id)
    await payee.hear(*(payee.held(100 + number) for number in range(PER_HOUR_MAX)))
    assert len(await payee.subjects()) == 2 * PER_HOUR_MAX - 1


async def test_an_asset_that_this_process_has_not_heard_of_is_named_without_digits(payee: Payee) -> None:
    await payee.hear(payee.held(43, XQQ=1))
    assert "sending you an amount of XQQ." in (await payee.world.mails_to(payee.email))[-1].text


async def test_the_owner_of_a_disabled_webhook_is_told_each_time_it_is(payee: Payee) -> None:
    webhook_id = new_id()
    for moment in (AT, AT, "2026-03-09T09:30:00.000000Z"):
        disabled = WebhookDisabled(
            user_id=payee.user_id, webhook_id=webhook_id, because="failed_for_three_days", occurred_at=moment
        )
        await payee.hear(disabled)
    assert await payee.subjects() == ["A webhook of yours was disabled"] * 2
    text = (await payee.world.mails_to(payee.email))[-1].text
    assert webhook_id in text
    assert "three days" in text


async def test_an_address_that_nobody_proved_gets_no_mail_about_money(unproven: Payee) -> None:
    await unproven.hear(unproven.held(44))
    assert await unproven.subjects() == []


async def test_nobody_is_told_who_has_closed_or_is_not_there(payee: Payee) -> None:
    headers = payee.world.keys.bearer(payee.user_id)
    assert (await payee.world.http.delete("/api/v1/me", headers=headers)).status_code == 204
    await payee.hear(payee.held(45), Payee(payee.world, "", NOBODY).held(45))
    assert await payee.subjects() == []


async def test_of_a_thousand_in_an_hour_some_are_mailed(payee: Payee) -> None:
    await payee.hear(*(payee.held(index) for index in range(100, 100 + PER_HOUR_MAX + 5)))
    assert len(await payee.subjects()) == PER_HOUR_MAX
    payee.world.clock.move(timedelta(hours=2))
    await payee.hear(payee.held(99))
    assert len(await payee.subjects()) == PER_HOUR_MAX + 1


async def test_what_nobody_tells_again_is_forgotten(payee: Payee) -> None:
    await payee.hear(payee.held(46))
    rows = "SELECT FROM accounts.notices WHERE user_id = $1"
    for days, kept in ((59, 1), (3, 0)):
        payee.world.clock.move(timedelta(days=days))
        await ForgetExpired(payee.world.uow, payee.world.clock)()
        assert len(await payee.world.rows(rows, payee.user_id)) == kept
