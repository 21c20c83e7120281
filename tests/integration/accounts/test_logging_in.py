"""Logging in, refreshing, logging out."""

import asyncio
import time
from datetime import timedelta
from statistics import median

import httpx2
import jwt
import pytest

from services.accounts.passwords import HASHER
from tests.integration.accounts.conftest import PASSWORD, World
from tests.support.api_world import SEALER


async def refreshed(world: World, token: str) -> httpx2.Response:
    return await world.http.post("/api/v1/auth/refresh", json={"refresh_token": token})


async def test_a_login_answers_with_a_token_that_the_published_keys_verify(world: World) -> None:
    user_id = await world.register("login@example.com")
    answer = await world.log_in(" Login@Example.com")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    [published] = (await world.http.get("/api/v1/auth/jwks")).json()["keys"]
    claims = jwt.decode(
        body["access_token"], jwt.PyJWK(published), ["EdDSA"], audience="tallystick", issuer="tallystick"
    )
    assert (claims["sub"], claims["roles"]) == (user_id, ["customer"])
    me = await world.http.get("/api/v1/me", headers={"Authorization": f"Bearer {body['access_token']}"})
    assert me.json()["user_id"] == user_id


async def test_the_database_knows_no_refresh_token(world: World) -> None:
    user_id = await world.register("hashed@example.com")
    token = (await world.log_in("hashed@example.com")).json()["refresh_token"]
    [row] = await world.rows("SELECT * FROM accounts.sessions WHERE user_id = $1", user_id)
    assert token.encode() not in bytes(row["refresh_hash"])
    assert len(row["refresh_hash"]) == 32


@pytest.mark.parametrize("email", ["known@example.com", "unknown@example.com", "no address@x"])
async def test_a_wrong_password_and_an_unknown_email_get_the_same_answer(world: World, email: str) -> None:
    if not await world.rows(
        "SELECT 1 FROM accounts.customers WHERE email_hash = $1", SEALER.search_hash("known@example.com")
    ):
        await world.register("known@example.com")
    answer = await world.log_in(email, "not the password")
    body = answer.json()
    if email == "no address@x":
        assert (answer.status_code, body["code"]) == (422, "invalid_request")
        return
    assert answer.status_code == 401
    assert {name: body[name] for name in ("code", "detail")} == {
        "code": "invalid_credentials",
        "detail": "E-mail or password is wrong.",
    }


@pytest.mark.parametrize("hasher", [HASHER])
async def test_an_unknown_email_takes_as_long_as_a_wrong_password(world: World) -> None:
    await world.register("timed@example.com")

    async def seconds(email: str) -> float:
        await world.rows("DELETE FROM accounts.guesses")
        began = time.process_time()  # what others do on the machine does not count, and hashing is work
        await world.log_in(email, "not the password")
        return time.process_time() - began

    pairs = [(await seconds("timed@example.com"), await seconds("nobody@example.com")) for _ in range(7)]
    wrong, unknown = (median(side) for side in zip(*pairs, strict=True))
    # Without the stand-in hash an unknown e-mail would be answered ten times faster.
    assert unknown > wrong / 2


async def test_a_closed_customer_cannot_log_in(world: World) -> None:
    user_id = await world.register("closed@example.com")
    token = (await world.log_in("closed@example.com")).json()["refresh_token"]
    await world.rows("UPDATE accounts.customers SET status = 'closed' WHERE user_id = $1", user_id)
    assert (await world.log_in("closed@example.com")).json()["code"] == "invalid_credentials"
    assert (await refreshed(world, token)).json()["code"] == "refresh_token_invalid"


async def test_a_refresh_brings_a_new_pair_with_the_roles_of_now(world: World) -> None:
    user_id = await world.register("fresh@example.com")
    first = (await world.log_in("fresh@example.com")).json()
    await world.rows("UPDATE accounts.customers SET roles = '{customer,operator}' WHERE user_id = $1", user_id)
    answer = await refreshed(world, first["refresh_token"])
    assert answer.status_code == 200
    second = answer.json()
    assert second["refresh_token"] != first["refresh_token"]
    claims = jwt.decode(second["access_token"], options={"verify_signature": False})
    assert claims["roles"] == ["customer", "operator"]


async def test_a_refresh_token_used_twice_ends_its_whole_family_and_no_other(world: World) -> None:
    await world.register("thief@example.com")
    other = (await world.log_in("thief@example.com")).json()["refresh_token"]
    first = (await world.log_in("thief@example.com")).json()["refresh_token"]
    second = (await refreshed(world, first)).json()["refresh_token"]
    third = (await refreshed(world, second)).json()["refresh_token"]
    again = await refreshed(world, first)
    assert (again.status_code, again.json()["code"]) == (401, "refresh_token_reused")
    assert again.headers["www-authenticate"] == "Bearer"
    assert (await refreshed(world, third)).json()["code"] == "refresh_token_invalid"
    assert (await refreshed(world, other)).status_code == 200


async def test_of_two_uses_at_once_one_wins_and_both_are_logged_out(world: World) -> None:
    await world.register("both@example.com")
    token = (await world.log_in("both@example.com")).json()["refresh_token"]
    answers = await asyncio.gather(*(refreshed(world, token) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    [winner] = [answer.json()["refresh_token"] for answer in answers if answer.status_code == 200]
    assert (await refreshed(world, winner)).json()["code"] == "refresh_token_invalid"


async def test_a_refresh_token_expires_after_thirty_days(world: World) -> None:
    await world.register("late@example.com")
    token = (await world.log_in("late@example.com")).json()["refresh_token"]
    world.clock.move(timedelta(days=30, seconds=1))
    assert (await refreshed(world, token)).json()["code"] == "refresh_token_invalid"


async def test_logging_out_ends_the_family_and_never_tells_whether_there_was_one(world: World) -> None:
    await world.register("out@example.com")
    first = (await world.log_in("out@example.com")).json()["refresh_token"]
    second = (await refreshed(world, first)).json()["refresh_token"]
    for token in (first, "no token of ours"):
        answer = await world.http.post("/api/v1/auth/logout", json={"refresh_token": token})
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await refreshed(world, second)).json()["code"] == "refresh_token_invalid"


class TestWhereVerifiedEmailsAreRequired:
    """The setting that an installation with e-mail turns on."""

    @pytest.fixture
    def settings_changes(self) -> dict[str, object]:
        return {"require_verified_email": True}

    async def test_only_who_verified_his_email_logs_in(self, world: World) -> None:
        user_id = await world.register("verify@example.com")
        refused = await world.log_in("verify@example.com")
        assert (refused.status_code, refused.json()["code"]) == (403, "email_not_verified")
        assert (await world.log_in("verify@example.com", PASSWORD + "!")).json()["code"] == "invalid_credentials"
        await world.rows("UPDATE accounts.customers SET email_verified_at = now() WHERE user_id = $1", user_id)
        assert (await world.log_in("verify@example.com")).status_code == 200
