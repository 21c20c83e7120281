"""Whoever guesses passwords waits, whether or not somebody has the e-mail, and nobody is locked out by it for long."""

import asyncio
from datetime import timedelta

import asyncpg
import httpx2
import pytest
from argon2 import PasswordHasher

from services.accounts.domain.guesses import Patience
from services.accounts.passwords import HASHER
from services.accounts.use_cases.forget_expired import ForgetExpired
from tests.integration.accounts.conftest import PASSWORD, World
from tests.support.api_world import admin_connection

WRONG = "not the password"


async def guessed(world: World, email: str, password: str = WRONG, address: str = "198.51.100.1") -> httpx2.Response:
    body = {"email": email, "password": password}
    return await world.http.post("/api/v1/auth/login", json=body, headers={"X-Forwarded-For": address})


def assert_locked(answer: httpx2.Response, seconds: int) -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, "login_locked"), answer.text
    assert answer.headers["retry-after"] == str(seconds)


@pytest.fixture(autouse=True)
async def standing_clock(world: World) -> None:
    world.clock.stop()
    await world.rows("DELETE FROM accounts.guesses")


@pytest.mark.parametrize("is_known", [True, False])
async def test_the_wait_grows_alike_for_an_e_mail_that_nobody_has(world: World, *, is_known: bool) -> None:
    email = f"guessed.{is_known}@example.com".lower()
    if is_known:
        await world.register(email)
    assert [(await guessed(world, email)).status_code for _ in range(5)] == [401] * 5
    assert_locked(await guessed(world, email), 1)
    assert_locked(await guessed(world, email.upper(), PASSWORD), 1)
    world.clock.move(timedelta(seconds=1))
    assert (await guessed(world, email)).status_code == 401
    assert_locked(await guessed(world, email, address="203.0.113.5"), 2)
    stored = await world.rows("SELECT subject FROM accounts.guesses")
    assert not any(email.encode() in bytes(row["subject"]) for row in stored)


async def test_of_many_at_once_no_more_are_looked_at_than_are_free(world: World) -> None:
    await world.register("at.once@example.com")
    answers = await asyncio.gather(*(guessed(world, "at.once@example.com") for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 7


async def test_a_right_password_begins_the_count_anew(world: World) -> None:
    await world.register("forgiven@example.com")
    for _ in range(3):
        assert [(await guessed(world, "forgiven@example.com")).status_code for _ in range(4)] == [401] * 4
        assert (await guessed(world, "forgiven@example.com", PASSWORD, "192.0.2.99")).status_code == 200
        await world.rows("DELETE FROM accounts.sessions")


async def test_guesses_about_many_make_their_address_wait_and_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = Patience(free=3, longest_lock=timedelta(minutes=1))
    monkeypatch.setattr("services.accounts.use_cases.guard_guesses.FOR_ADDRESS", impatient)
    await world.register("spraying@example.com")
    for number in range(3):
        assert (await guessed(world, f"sprayed.{number}@example.com", address="2001:db8:0:1::1")).status_code == 401
        # A right password of one's own gives its guess back, and no more.
        if number < 2:
            own = await guessed(world, "spraying@example.com", PASSWORD, "2001:db8:0:1::1")
            assert own.status_code == 200
            await world.rows("DELETE FROM accounts.sessions")
    # The neighbours in a /64 are the same subscriber.
    assert_locked(await guessed(world, "sprayed.98@example.com", address="2001:db8:0:1::2"), 1)
    assert (await guessed(world, "sprayed.99@example.com", address="2001:db8:0:2::1")).status_code == 401


async def test_nobody_is_locked_out_where_he_was_logged_in(world: World) -> None:
    await world.register("at.home@example.com")
    assert (await guessed(world, "at.home@example.com", PASSWORD, "192.0.2.10")).status_code == 200
    for _ in range(6):
        await guessed(world, "at.home@example.com", address="203.0.113.66")
    assert_locked(await guessed(world, "at.home@example.com", PASSWORD, "192.0.2.11"), 1)
    assert (await guessed(world, "at.home@example.com", PASSWORD, "192.0.2.10")).status_code == 200
    for _ in range(5):
        assert (await guessed(world, "at.home@example.com", address="192.0.2.10")).status_code == 401
    assert_locked(await guessed(world, "at.home@example.com", PASSWORD, "192.0.2.10"), 1)


async def test_changing_the_password_and_stepping_up_are_guesses_too(world: World) -> None:
    await world.register("inside@example.com")
    tokens = (await guessed(world, "inside@example.com", PASSWORD)).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}", "X-Forwarded-For": "198.51.100.1"}
    body = {"old_password": WRONG, "new_password": "a wholly different battery"}
    for _ in range(3):
        assert (await world.http.post("/api/v1/auth/password", json=body, headers=headers)).status_code == 403
    for _ in range(2):
        answer = await world.http.post("/api/v1/auth/step-up", json={"password": WRONG}, headers=headers)
        assert answer.status_code == 403
    assert_locked(await world.http.post("/api/v1/auth/password", json=body, headers=headers), 1)
    assert_locked(await world.http.post("/api/v1/auth/step-up", json={"password": PASSWORD}, headers=headers), 1)


async def test_what_is_refused_for_another_reason_is_no_guess(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.register("busy@example.com")
    monkeypatch.setattr("services.accounts.passwords._WAITING_MAX", 0)
    assert {(await guessed(world, "busy@example.com")).status_code for _ in range(8)} == {503}
    monkeypatch.undo()
    assert (await guessed(world, "busy@example.com", PASSWORD)).status_code == 200


async def test_a_count_is_forgotten_a_day_after_the_last_guess(world: World) -> None:
    await guessed(world, "nobody.at.all@example.com")
    world.clock.move(timedelta(days=1, seconds=1))
    await ForgetExpired(world.uow, world.clock)()
    assert await world.rows("SELECT 1 FROM accounts.guesses") == []


async def test_the_database_locks_nobody_out_for_ever(world: World) -> None:
    await guessed(world, "bounded@example.com")
    async with admin_connection(world.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError, match="guesses_lock_bounded"):
            await connection.execute("UPDATE accounts.guesses SET locked_until = last_at + interval '1 hour'")


@pytest.mark.parametrize("hasher", [HASHER])
async def test_a_hash_with_old_parameters_is_replaced_by_a_log_in(world: World) -> None:
    user_id = await world.register("old.hash@example.com")
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await world.rows("UPDATE accounts.customers SET password_hash = $2 WHERE user_id = $1", user_id, weak)
    assert (await guessed(world, "old.hash@example.com")).status_code == 401
    read = "SELECT password_hash FROM accounts.customers WHERE user_id = $1"
    assert (await world.rows(read, user_id))[0]["password_hash"] == weak
    assert (await guessed(world, "old.hash@example.com", PASSWORD)).status_code == 200
    [stored] = await world.rows(read, user_id)
    assert stored["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await guessed(world, "old.hash@example.com", PASSWORD)).status_code == 200


async def test_neighbours_who_log_in_at_once_do_not_keep_each_other_waiting(world: World) -> None:
    emails = [f"neighbour{number}@example.com" for number in range(4)]
    for email in emails:
        await world.register(email)
    world.clock.go_on()
    for _ in range(3):
        await world.rows("DELETE FROM accounts.sessions")
        answers = await asyncio.gather(*(guessed(world, email, PASSWORD) for email in emails))
        assert [answer.status_code for answer in answers] == [200] * 4
