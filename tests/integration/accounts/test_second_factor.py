"""A second factor: set up, asked for, proved anew, and taken away."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import httpx2
import jwt
import pyotp
import pytest

from tests.integration.accounts.conftest import PASSWORD, World
from tests.support.api_world import admin_connection

LOGIN = "/api/v1/auth/login"


class Person:
    """A customer with an authenticator, whose clock is the test's."""

    def __init__(self, world: World, email: str) -> None:
        self.world, self.email = world, email
        self.tokens: dict[str, Any] = {}
        self.user_id = ""
        self.secret = ""
        self.recovery_codes: list[str] = []

    @property
    def code(self) -> str:
        return pyotp.TOTP(self.secret).at(self.world.clock())

    async def log_in(self, **codes: str) -> httpx2.Response:
        answer = await self.world.http.post(LOGIN, json={"email": self.email, "password": PASSWORD, **codes})
        if answer.status_code == 200:
            self.tokens = answer.json()
        return answer

    async def ask(self, method: str, path: str, body: object = None) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        return await self.world.http.request(method, f"/api/v1/auth{path}", json=body, headers=headers)

    async def step_up(self, **proof: str) -> httpx2.Response:
        answer = await self.ask("POST", "/step-up", proof)
        if answer.status_code == 200:
            self.tokens["access_token"] = answer.json()["access_token"]
        return answer

    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(self.tokens["access_token"], options={"verify_signature": False})
        return claims

    def next_step(self) -> None:
        self.world.clock.move(timedelta(seconds=30))


async def with_password(world: World, name: str) -> Person:
    world.clock.stop()
    if not world.clock.shift:
        # Tokens are judged by the machine's clock: none may come from its future, whatever a test moves.
        world.clock.move(-timedelta(minutes=12))
    async with admin_connection(world.admin_dsn) as connection:
        await connection.execute("DELETE FROM accounts.guesses")  # all tests guess from one address
    person = Person(world, f"{name}@example.com")
    person.user_id = await world.register(person.email)
    assert (await person.log_in()).status_code == 200
    return person


async def with_authenticator(world: World, name: str) -> Person:
    """Set up an authenticator, and let the code that confirmed it be over."""
    person = await with_password(world, name)
    begun = await person.ask("POST", "/totp")
    assert begun.status_code == 201, begun.text
    person.secret = begun.json()["secret"]
    confirmed = await person.ask("POST", "/totp/confirm", {"totp_code": person.code})
    assert confirmed.status_code == 200, confirmed.text
    person.recovery_codes = confirmed.json()["recovery_codes"]
    person.next_step()
    return person


def assert_problem(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_nothing_asks_for_an_authenticator_that_is_not_confirmed(world: World) -> None:
    person = await with_password(world, "begun")
    assert_problem(await person.ask("POST", "/totp/confirm", {"totp_code": "123456"}), 409, "second_factor_not_begun")
    first = (await person.ask("POST", "/totp")).json()
    second = (await person.ask("POST", "/totp")).json()
    assert first["secret"] != second["secret"]
    assert second["otpauth_uri"].endswith(f"?secret={second['secret']}&issuer=Tallystick")
    person.secret = first["secret"]
    assert_problem(await person.ask("POST", "/totp/confirm", {"totp_code": person.code}), 422, "totp_code_wrong")
    assert (await person.log_in()).status_code == 200
    assert person.claims()["amr"] == ["pwd"]


async def test_both_steps_are_in_the_audit_log_and_name_the_customer(world: World) -> None:
    person = await with_authenticator(world, "audited")
    entries = await world.rows(
        "SELECT resource_type, facts FROM accounts.audit_log"
        " WHERE resource_id = $1 AND action = 'second_factor.set' ORDER BY entry_id",
        person.user_id,
    )
    assert [tuple(entry.values()) for entry in entries] == [
        ("customer", '{"is_confirmed":false}'),
        ("customer", '{"is_confirmed":true}'),
    ]


async def test_the_database_knows_neither_secret_nor_recovery_codes(world: World) -> None:
    person = await with_authenticator(world, "sealed")
    [stored] = await world.rows("SELECT * FROM accounts.authenticators WHERE user_id = $1", person.user_id)
    assert person.secret.encode() not in stored["sealed_secret"]
    codes = await world.rows("SELECT * FROM accounts.recovery_codes WHERE user_id = $1", person.user_id)
    assert len(codes) == len(set(person.recovery_codes)) == 10
    assert {len(row["code_hash"]) for row in codes} == {32}
    [mail] = [mail for mail in await world.mails_to(person.email) if mail.subject.startswith("A second")]
    assert not any(code in mail.text for code in person.recovery_codes)


async def test_a_log_in_takes_the_password_and_a_code_that_was_not_used(world: World) -> None:
    person = await with_authenticator(world, "codes")
    assert_problem(await person.log_in(), 401, "second_factor_required")
    used = person.code
    assert (await person.log_in(totp_code=used)).status_code == 200
    assert person.claims()["amr"] == ["otp", "pwd"]
    assert_problem(await person.log_in(totp_code=used), 401, "second_factor_wrong")
    person.next_step()
    assert_problem(await person.log_in(totp_code=used), 401, "second_factor_wrong")
    assert (await person.log_in(totp_code=person.code)).status_code == 200
    wrong = await world.http.post(
        LOGIN, json={"email": person.email, "password": "not the password", "totp_code": person.code}
    )
    assert_problem(wrong, 401, "invalid_credentials")
    assert_problem(await person.log_in(totp_code="12345x"), 422, "invalid_request")


async def test_the_code_that_confirmed_does_not_log_in(world: World) -> None:
    person = await with_password(world, "confirming")
    person.secret = (await person.ask("POST", "/totp")).json()["secret"]
    code = person.code
    assert (await person.ask("POST", "/totp/confirm", {"totp_code": code})).status_code == 200
    assert_problem(await person.log_in(totp_code=code), 401, "second_factor_wrong")


async def test_of_many_uses_of_one_code_at_once_one_wins(world: World) -> None:
    person = await with_authenticator(world, "replayed")
    answers = await asyncio.gather(*(person.log_in(totp_code=person.code) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    # Somebody else: the first one's wrong attempts count towards his lock, in whatever order they came in.
    other = await with_authenticator(world, "replayed.spare")
    spare = other.recovery_codes[0]
    answers = await asyncio.gather(*(other.log_in(recovery_code=spare) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]


async def test_each_recovery_code_logs_in_once_and_nobody_elses_does(world: World) -> None:
    person, other = await with_authenticator(world, "spare"), await with_authenticator(world, "other.spare")
    code = person.recovery_codes[3]
    assert (await person.log_in(recovery_code=code.lower().replace("-", " "))).status_code == 200
    assert person.claims()["amr"] == ["otp", "pwd"]
    assert_problem(await person.log_in(recovery_code=code), 401, "second_factor_wrong")
    assert_problem(await person.log_in(recovery_code=other.recovery_codes[0]), 401, "second_factor_wrong")
    assert (await person.log_in(recovery_code=person.recovery_codes[4])).status_code == 200


async def test_a_step_up_makes_the_proof_of_the_session_fresh_also_for_later_tokens(world: World) -> None:
    person = await with_authenticator(world, "step")
    assert (await person.log_in(totp_code=person.code)).status_code == 200
    begun = person.claims()["auth_time"]
    world.clock.move(timedelta(minutes=5))
    assert_problem(await person.step_up(), 401, "second_factor_required")
    assert_problem(await person.step_up(password=PASSWORD), 401, "second_factor_required")
    assert_problem(await person.step_up(totp_code=person.code, password="not the password"), 403, "password_wrong")
    assert_problem(await person.step_up(totp_code="000000"), 401, "second_factor_wrong")
    assert (await person.step_up(totp_code=person.code)).status_code == 200
    claims = person.claims()
    assert (claims["auth_time"], claims["amr"]) == (begun + 300, ["otp", "pwd"])
    body = {"refresh_token": person.tokens["refresh_token"]}
    person.tokens = (await world.http.post("/api/v1/auth/refresh", json=body)).json()
    refreshed = person.claims()
    assert (refreshed["auth_time"], refreshed["sid"]) == (begun + 300, claims["sid"])


async def test_a_step_up_without_authenticator_takes_the_password(world: World) -> None:
    person = await with_password(world, "plain.step")
    for proof in ({}, {"totp_code": "123456"}, {"password": "not the password"}):
        assert_problem(await person.step_up(**proof), 403, "password_wrong")
    world.clock.move(timedelta(minutes=1))
    assert (await person.step_up(password=PASSWORD)).status_code == 200
    assert person.claims()["auth_time"] == int(world.clock().timestamp())


async def test_a_session_that_has_ended_cannot_step_up(world: World) -> None:
    person = await with_password(world, "ended.step")
    await world.http.post("/api/v1/auth/logout", json={"refresh_token": person.tokens["refresh_token"]})
    assert_problem(await person.step_up(password=PASSWORD), 404, "session_not_found")


async def test_how_one_proves_oneself_changes_only_soon_after_proving_it(world: World) -> None:
    person = await with_password(world, "stale")
    world.clock.move(timedelta(minutes=10, seconds=1))
    assert_problem(await person.ask("POST", "/totp"), 403, "step_up_required")
    assert (await person.step_up(password=PASSWORD)).status_code == 200
    person.secret = (await person.ask("POST", "/totp")).json()["secret"]
    assert (await person.ask("POST", "/totp/confirm", {"totp_code": person.code})).status_code == 200
    assert_problem(await person.ask("DELETE", "/totp"), 403, "step_up_required")
    person.next_step()
    assert (await person.step_up(totp_code=person.code)).status_code == 200
    for _ in range(2):
        assert (await person.ask("DELETE", "/totp")).status_code == 204
    assert (await person.log_in()).status_code == 200
    gone = "SELECT 1 FROM accounts.recovery_codes WHERE user_id = $1"
    assert await world.rows(gone, person.user_id) == []
    subjects = [mail.subject for mail in await world.mails_to(person.email)]
    assert len([subject for subject in subjects if subject.startswith("Your second")]) == 1


async def test_who_has_an_authenticator_does_not_get_another(world: World) -> None:
    person = await with_authenticator(world, "present")
    assert_problem(await person.ask("POST", "/totp"), 409, "second_factor_present")
    assert_problem(await person.ask("POST", "/totp/confirm", {"totp_code": person.code}), 409, "second_factor_present")


async def test_a_new_password_leaves_the_second_factor_in_force(world: World) -> None:
    person = await with_authenticator(world, "kept")
    body = {"old_password": PASSWORD, "new_password": "a wholly different battery"}
    assert (await person.ask("POST", "/password", body)).status_code == 204
    answer = await world.log_in(person.email, "a wholly different battery")
    assert_problem(answer, 401, "second_factor_required")


@pytest.mark.parametrize("by", ["changing", "step-up"])
async def test_a_right_password_alone_gives_no_more_guesses_of_the_code(world: World, by: str) -> None:
    person = await with_authenticator(world, f"counted.{by}")

    async def prove_password() -> None:
        if by == "changing":
            body = {"old_password": PASSWORD, "new_password": "qwerty123456"}
            assert_problem(await person.ask("POST", "/password", body), 422, "password_common")
        else:
            assert_problem(await person.step_up(password=PASSWORD), 401, "second_factor_required")

    for _ in range(4):
        assert_problem(await person.step_up(totp_code="000000"), 401, "second_factor_wrong")
    await prove_password()
    assert_problem(await person.step_up(totp_code="000000"), 401, "second_factor_wrong")
    assert_problem(await person.step_up(totp_code="000000"), 429, "login_locked")


async def test_a_right_code_alone_gives_no_more_guesses_of_the_password_and_both_do(world: World) -> None:
    person = await with_authenticator(world, "counted.codes")

    async def guess_password(times: int) -> None:
        for _ in range(times):
            assert_problem(await person.step_up(password="not the password"), 403, "password_wrong")

    await guess_password(4)
    assert (await person.step_up(totp_code=person.code, password=PASSWORD)).status_code == 200
    await guess_password(4)
    person.next_step()
    assert (await person.step_up(totp_code=person.code)).status_code == 200
    await guess_password(1)
    assert_problem(await person.step_up(password=PASSWORD), 429, "login_locked")


async def test_the_database_lets_no_time_step_come_back(world: World) -> None:
    person = await with_authenticator(world, "steps")
    async with admin_connection(world.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError, match="not used again"):
            await connection.execute(
                "UPDATE accounts.authenticators SET last_step = last_step - 1 WHERE user_id = $1", person.user_id
            )
