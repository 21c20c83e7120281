"""Another e-mail: asked for by who has just logged in, confirmed by the new mailbox, told to the old one."""

import asyncio
import re
from datetime import timedelta

import httpx2
import pytest

from libs.common.ids import new_id
from tests.integration.accounts.conftest import World
from tests.support.api_world import admin_connection


def address() -> str:
    return f"{new_id()}@example.com"


async def ask(world: World, user_id: str, email: str) -> httpx2.Response:
    return await world.http.post("/api/v1/me/email", json={"email": email}, headers=world.keys.bearer(user_id))


async def confirm(world: World, user_id: str, token: str) -> httpx2.Response:
    return await world.http.post("/api/v1/me/email/confirm", json={"token": token}, headers=world.keys.bearer(user_id))


async def token_mailed(world: World, email: str) -> str:
    [*_, mail] = [one for one in await world.mails_to(email) if one.subject == "Confirm your new e-mail"]
    return str(re.findall(r"^[\w-]{43}$", mail.text, re.MULTILINE)[0])


async def subjects(world: World, email: str) -> list[str]:
    return [mail.subject for mail in await world.mails_to(email)]


async def test_the_new_mailbox_confirms_and_the_old_one_is_told_before_and_after(world: World) -> None:
    old, new = address(), address()
    user_id = await world.register(old)
    assert (await ask(world, user_id, new.upper())).status_code == 202
    assert (await world.log_in(new)).json()["code"] == "invalid_credentials"
    assert (await confirm(world, user_id, await token_mailed(world, new))).status_code == 204
    assert (await world.log_in(new)).status_code == 200
    assert (await world.log_in(old)).json()["code"] == "invalid_credentials"
    me = (await world.http.get("/api/v1/me", headers=world.keys.bearer(user_id))).json()
    assert (me["email"], me["email_verified"]) == (new, True)
    assert (await subjects(world, old))[1:] == ["Your e-mail is about to change", "Your e-mail was changed"]
    assert await world.register(old) != user_id


async def test_a_token_works_once_for_its_customer_and_for_a_day(world: World) -> None:
    user_id, stranger, new = await world.register(), await world.register(), address()
    await ask(world, user_id, new)
    token = await token_mailed(world, new)
    assert (await confirm(world, stranger, token)).json()["code"] == "verification_token_invalid"
    world.clock.move(timedelta(hours=24))
    assert (await confirm(world, user_id, token)).json()["code"] == "verification_token_invalid"
    world.clock.move(timedelta(seconds=-1))
    answers = await asyncio.gather(*(confirm(world, user_id, token) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [204, 422, 422, 422]


async def test_asking_again_waits_for_its_pause_and_replaces_the_token(world: World) -> None:
    user_id, first, second = await world.register(), address(), address()
    world.clock.stop()
    await ask(world, user_id, first)
    token = await token_mailed(world, first)
    refused = await ask(world, user_id, second)
    assert (refused.status_code, refused.json()["code"]) == (429, "email_change_too_soon")
    assert 0 < int(refused.headers["retry-after"]) <= 61
    world.clock.move(timedelta(seconds=60))
    assert (await ask(world, user_id, second)).status_code == 202
    assert (await confirm(world, user_id, token)).status_code == 422
    assert (await confirm(world, user_id, await token_mailed(world, second))).status_code == 204


async def test_an_address_of_somebody_gets_no_mail_and_the_asker_does_not_learn_why(world: World) -> None:
    theirs = address()
    await world.register(theirs)
    mailed = await subjects(world, theirs)
    assert (await ask(world, await world.register(), theirs)).status_code == 202
    assert await subjects(world, theirs) == mailed


async def test_an_address_that_was_registered_meanwhile_stays_with_who_registered(world: World) -> None:
    user_id, new = await world.register(), address()
    await ask(world, user_id, new)
    token = await token_mailed(world, new)
    await world.register(new)
    for _ in range(2):
        refused = await confirm(world, user_id, token)
        assert (refused.status_code, refused.json()["code"]) == (409, "email_taken")


async def test_a_password_token_mailed_to_the_old_address_is_worth_nothing_afterwards(world: World) -> None:
    user_id, new = await world.register(), address()
    async with admin_connection(world.admin_dsn) as connection:
        await connection.execute(
            """INSERT INTO accounts.password_resets (reset_id, user_id, asked_at, token_hash, expires_at)
               VALUES ($1, $2, now(), $3, now() + interval '1 day')""",
            new_id(),
            user_id,
            bytes(32),
        )
    await ask(world, user_id, new)
    await confirm(world, user_id, await token_mailed(world, new))
    [row] = await world.rows("SELECT used_at FROM accounts.password_resets WHERE user_id = $1", user_id)
    assert row["used_at"] is not None


async def test_an_old_log_in_has_to_be_proved_anew(world: World) -> None:
    user_id = await world.register()
    world.clock.move(timedelta(minutes=11))
    refused = await ask(world, user_id, address())
    assert (refused.status_code, refused.json()["code"]) == (403, "step_up_required")


@pytest.mark.parametrize("email", ["no address", "a@b@c.example", "a" * 300 + "@example.com"])
async def test_what_is_no_address_is_refused(world: World, email: str) -> None:
    assert (await ask(world, await world.register(), email)).status_code == 422


async def test_a_closed_customer_changes_nothing(world: World) -> None:
    user_id = await world.register()
    await world.http.delete("/api/v1/me", headers=world.keys.bearer(user_id))
    assert (await ask(world, user_id, address())).json()["code"] == "customer_closed"


async def test_the_new_address_lies_sealed_and_is_in_no_message_and_no_audit_entry(world: World) -> None:
    user_id, new = await world.register(), address()
    await ask(world, user_id, new)
    await confirm(world, user_id, await token_mailed(world, new))
    local = new.partition("@")[0]
    rows = await world.rows("SELECT * FROM accounts.customers WHERE user_id = $1", user_id)
    rows += await world.rows("SELECT * FROM accounts.audit_log WHERE resource_id = $1", user_id)
    assert local not in str(rows)
    assert not any(local.encode() in item.payload for item in world.publisher.sent)
    assert [row["action"] for row in rows[1:]].count("customer.change_email") == 2
