"""Who was erased at accounts is forgotten here: kept answers, webhooks, and what he wrote; ids and amounts stay."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx2
import pytest
from aiokafka import ConsumerRecord

from libs.common.contracts.accounts import CustomerErased
from libs.common.db.kept_answers import KeptAnswer, RequestKey, insert_answer
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from libs.common.messaging.records import Received
from services.gateway.consumers.on_customer_erased import OnCustomerErased
from services.gateway.use_cases.forget_erased import ForgetErased
from tallystick.stack.service_settings import dsn_of_role
from tests.integration.gateway.counter import AT, Counter, changed
from tests.integration.gateway.test_transfer_commands import posted_till
from tests.integration.gateway.test_transfer_lists import listed, sent
from tests.support.api_world import ROLE_PASSWORD, admin_connection

SECRET_URL = "https://ada-lovelace.example/hook"


def unit_of_work(counter: Counter) -> UnitOfWork:
    return UnitOfWork(counter.engine, Outbox("gateway", counter.publisher, counter.connections["lookup"]))


async def hear_erased(counter: Counter, *user_ids: str, texts_max: int = 2) -> None:
    """Let the consumer hear it; a piece of the work is two texts, so that there are several."""
    record = ConsumerRecord("accounts.erasures.v1", 0, 0, 0, 0, b"", b"", None, 0, 0, ())
    forget = ForgetErased(unit_of_work(counter), counter.clock, texts_max)
    messages = [CustomerErased(user_id=user_id, occurred_at=AT) for user_id in user_ids]
    await OnCustomerErased(forget)([Received(message, record) for message in messages])


async def keep_webhook(counter: Counter, user_id: str) -> None:
    """Store a webhook of his as its route does, and the answer to the request that made it."""
    webhook_id = new_id()
    async with admin_connection(counter.admin_dsn) as connection:
        await connection.execute(
            """INSERT INTO gateway.webhooks (webhook_id, user_id, url, description, event_types, sealed_secret,
                   created_at, changed_at) VALUES ($1, $2, $3, 'of Ada', '{}', '\\x00', now(), now())""",
            webhook_id,
            user_id,
            SECRET_URL,
        )
    answer = KeptAnswer(201, "application/json", "", f'{{"url": "{SECRET_URL}"}}'.encode())
    async with unit_of_work(counter).begin() as tx:
        await insert_answer(tx, RequestKey(user_id, "POST /api/v1/webhooks", new_id()), b"\0" * 32, answer)


async def stored(counter: Counter, table: str, user_id: str, column: str = "user_id") -> list[dict[str, Any]]:
    return await counter.rows(f"SELECT * FROM gateway.{table} WHERE {column} = $1", user_id)


async def test_answers_and_webhooks_of_an_erased_customer_go_and_nobody_elses(counter: Counter) -> None:
    erased, other = new_id(), new_id()
    for user_id in (erased, other):
        await keep_webhook(counter, user_id)
    for _ in range(2):
        await hear_erased(counter, erased)
    for user_id, left in ((erased, 0), (other, 1)):
        assert len(await stored(counter, "webhooks", user_id)) == left
        assert len(await stored(counter, "kept_answers", user_id, "principal_id")) == left


async def test_what_an_erased_customer_wrote_on_transfers_goes_piece_by_piece_and_the_transfers_stay(
    counter: Counter,
) -> None:
    payer, payee = counter.payer.owner_id, counter.payee.owner_id
    texts: dict[str, Any] = {"description": "for Ada's birthday", "metadata": {"guest": "Ada"}}
    async with counter.http() as http:
        written = [await sent(counter, http, **texts) for _ in range(5)]
        plain = await sent(counter, http)
        answered = await sent(counter, http, source=counter.payee, destination=counter.payer, **texts)
    before = {row["transfer_id"]: row for row in await stored(counter, "transfers", payer, "principal_id")}
    for _ in range(2):
        await hear_erased(counter, payer)
    after = {row["transfer_id"]: row for row in await stored(counter, "transfers", payer, "principal_id")}
    assert {str(one) for one in after} == {*written, plain}
    nothing = {"memo": None, "memo_salt": None}
    assert after == {transfer_id: {**row, **nothing} for transfer_id, row in before.items()}
    for reader in (payer, payee):
        found = await listed(counter, counter.keys.bearer(reader), **{"metadata.guest": "Ada"})
        assert found == [answered], "the other's own words are the other's"
    assert await stored(counter, "transfer_metadata", written[0], "transfer_id") == []


async def test_reasons_he_gave_about_his_own_transfers_go_and_those_of_staff_stay(counter: Counter) -> None:
    async with counter.http() as http:
        at = await posted_till(counter, http)
        await counter.hear_all(changed(at.transfer_id, "posted", 1, journal_index=10))
        operator_id, payee_id = new_id(), counter.payee.owner_id
        for who in (at.bearer(payee_id), at.bearer(operator_id, "operator")):
            body = {"amount_minor": 1, "reason": "Ada's was broken"}
            assert (await at.ask("reversals", body, who=who)).status_code == 202
    await hear_erased(counter, payee_id, operator_id)
    [his] = await stored(counter, "commands", payee_id, "principal_id")
    [of_staff] = await stored(counter, "commands", operator_id, "principal_id")
    assert (his["memo"], his["memo_salt"]) == (None, None)
    assert b"Ada's was broken" in of_staff["memo"]


@asynccontextmanager
async def service_connection(counter: Counter) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection with the rights of the service itself."""
    connection = await asyncpg.connect(dsn_of_role(counter.admin_dsn, "tallystick_gateway", ROLE_PASSWORD))
    try:
        yield connection
    finally:
        await connection.close()


async def test_of_somebody_who_was_not_erased_nothing_goes_whoever_asks(counter: Counter) -> None:
    async with counter.http() as http:
        transfer_id = await sent(counter, http, description="rent")
    forget = "UPDATE gateway.transfers SET memo = NULL, memo_salt = NULL WHERE transfer_id = $1"
    async with admin_connection(counter.admin_dsn) as connection:
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute(forget, transfer_id)
    async with service_connection(counter) as connection:
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute("SELECT gateway.forget_memos_of($1, 10)", counter.payer.owner_id)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(forget, transfer_id)


@pytest.mark.parametrize(
    "change",
    ["memo = '{}'", "memo = NULL, memo_salt = NULL, command = ''", "memo = NULL", "body_hash = ''"],
)
async def test_of_an_erased_customers_request_nothing_else_changes(counter: Counter, change: str) -> None:
    async with counter.http() as http:
        transfer_id = await sent(counter, http, description="rent")
    await hear_erased(counter, new_id())
    async with admin_connection(counter.admin_dsn) as connection:
        await connection.execute(
            "INSERT INTO gateway.erased_customers (user_id, noted_at) VALUES ($1, now())", counter.payer.owner_id
        )
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute(f"UPDATE gateway.transfers SET {change} WHERE transfer_id = $1", transfer_id)
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute("DELETE FROM gateway.transfers WHERE transfer_id = $1", transfer_id)
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute("DELETE FROM gateway.erased_customers")


async def test_the_transfer_of_an_erased_customer_is_shown_to_the_payee_without_his_words(counter: Counter) -> None:
    async with counter.http() as http:
        transfer_id = await sent(counter, http, description="rent")

        async def seen() -> httpx2.Response:
            headers = counter.keys.bearer(counter.payee.owner_id)
            return await http.get(f"/api/v1/transfers/{transfer_id}", headers=headers)

        assert (await seen()).json()["memo"] == {"description": "rent"}
        await hear_erased(counter, counter.payer.owner_id)
        answer = await seen()
    assert (answer.status_code, answer.json()["status"], "memo" in answer.json()) == (200, "posted", False)
