"""Proving that an e-mail is one's own."""

import asyncio
import hashlib
import re
from datetime import timedelta

import httpx2
import pytest

from libs.common.ids import new_id
from tests.integration.accounts.conftest import World

VERIFY = "/api/v1/auth/verify-email"
RESEND = f"{VERIFY}/resend"


async def tokens_mailed(world: World, email: str) -> list[str]:
    """The tokens in the mails that wait for this address, oldest first."""
    return [re.findall(r"^[\w-]{43}$", mail.text, re.MULTILINE)[0] for mail in await world.mails_to(email)]


async def verify(world: World, token: str) -> httpx2.Response:
    return await world.http.post(VERIFY, json={"token": token})


async def resend(world: World, email: str) -> httpx2.Response:
    return await world.http.post(RESEND, json={"email": email})


def address() -> str:
    return f"{new_id()}@example.com"


async def test_the_token_that_was_mailed_proves_the_e_mail_once(world: World) -> None:
    email = address()
    user_id = await world.register(email)
    [token] = await tokens_mailed(world, email)
    answers = [await verify(world, token) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 422]
    assert answers[1].json()["code"] == "verification_token_invalid"
    me = await world.http.get("/api/v1/me", headers=world.keys.bearer(user_id))
    assert me.json()["email_verified"] is True


async def test_of_many_uses_at_once_one_counts(world: World) -> None:
    email = address()
    await world.register(email)
    [token] = await tokens_mailed(world, email)
    answers = await asyncio.gather(*(verify(world, token) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [204, *[422] * 5]


async def test_the_database_knows_a_token_by_its_hash_alone(world: World) -> None:
    email = address()
    user_id = await world.register(email)
    [token] = await tokens_mailed(world, email)
    [row] = await world.rows("SELECT * FROM accounts.email_verifications WHERE user_id = $1", user_id)
    assert row["token_hash"] == hashlib.sha256(token.encode()).digest()


async def test_a_token_works_for_a_day(world: World) -> None:
    email = address()
    await world.register(email)
    [token] = await tokens_mailed(world, email)
    world.clock.move(timedelta(days=1))
    assert (await verify(world, token)).status_code == 422


async def test_another_mail_voids_the_token_before_it(world: World) -> None:
    email = address()
    await world.register(email)
    world.clock.move(timedelta(minutes=2))
    assert (await resend(world, email.upper())).status_code == 202
    first, second = await tokens_mailed(world, email)
    assert (await verify(world, first)).status_code == 422
    assert (await verify(world, second)).status_code == 204


async def test_nobody_is_mailed_more_often_than_with_a_growing_pause(world: World) -> None:
    email = address()
    world.clock.stop()
    await world.register(email)
    for minute in range(1, 8):
        world.clock.move(timedelta(minutes=1))
        await resend(world, email)
        assert len(await tokens_mailed(world, email)) == 1 + (minute >= 1) + (minute >= 3) + (minute >= 7)


@pytest.mark.parametrize("kind", ["unknown", "no address", "proved", "mailed a moment ago", "closed"])
async def test_asking_for_another_mail_tells_nothing_of_the_e_mail(world: World, kind: str) -> None:
    email = address()
    if kind != "unknown":
        user_id = await world.register(email)
        column = {"proved": "email_verified_at = now()", "closed": "status = 'closed'"}.get(kind, "version = version")
        await world.rows(f"UPDATE accounts.customers SET {column} WHERE user_id = $1", user_id)
    if kind != "mailed a moment ago":
        world.clock.move(timedelta(hours=2))
    before = len(await tokens_mailed(world, email))
    answer = await resend(world, "nobody@nowhere" if kind == "no address" else email)
    assert (answer.status_code, answer.content) == (202, b"")
    assert len(await tokens_mailed(world, email)) == before


@pytest.mark.parametrize("token", ["", "x" * 101, "a\0", "a\x7f", None, 7])
async def test_what_cannot_be_a_token_is_refused_without_repeating_it(world: World, token: object) -> None:
    answer = await world.http.post(VERIFY, json={"token": token})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("settings_changes", [{"require_verified_email": True}])
async def test_logging_in_waits_for_the_proof_where_the_installation_says_so(world: World) -> None:
    email = address()
    await world.register(email)
    assert (await world.log_in(email)).json()["code"] == "email_not_verified"
    await verify(world, (await tokens_mailed(world, email))[0])
    assert (await world.log_in(email)).status_code == 200
